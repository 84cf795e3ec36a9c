// The pages that the router has, read from its source, so that none is left unvisited.

import { readFileSync } from "node:fs";
import path from "node:path";
import { root } from "../harness.mjs";

const FILES = ["router.rs", "router/accounts.rs", "router/cluster.rs", "router/files.rs", "router/services.rs"];

// What is asked for and is no page: it answers programs, or leads elsewhere.
const NO_PAGES = new Set([
  "/metrics", "/healthz", "/readyz", "/live/{*page}", "/assets/{name}", "/terminal/ws", "/shared/{link}/ws",
  "/open/{id}", "/services/{id}/go", "/login/oidc/callback",
]);

// Paths of pages, with names in braces for what differs.
export function pagesOfRouter() {
  const found = FILES.flatMap((file) => {
    const text = readFileSync(path.join(root, "portal/src", file), "utf8");
    const routes = [...text.matchAll(/\.route\(\s*"([^"]+)",\s*([\s\S]*?)(?=\.route\(|\.merge\(|\n\})/g)];
    return routes.filter(([, , says]) => /\bget\(/.test(says)).map(([, route]) => route);
  });
  return found.filter((route) => !NO_PAGES.has(route));
}

// The path that an address leads to: the one with the fewest braces.
export function routeOf(address, routes) {
  const steps = address.split("?")[0].split("/");
  const fits = (route) => {
    const parts = route.split("/");
    return parts.length === steps.length && parts.every((part, at) => part.startsWith("{") || part === steps[at]);
  };
  const braces = (route) => route.split("{").length;
  return routes.filter(fits).toSorted((one, other) => braces(one) - braces(other))[0];
}
