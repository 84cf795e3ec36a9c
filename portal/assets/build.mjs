// Bundles the portal's scripts and style sheet into dist/, which the program embeds.
import { build } from "esbuild";

await build({
  entryPoints: ["live.js", "terminal.js", "chart.js", "files.js", "style.css"],
  outdir: "dist",
  bundle: true,
  minify: true,
  target: "es2022",
  legalComments: "inline",
});
