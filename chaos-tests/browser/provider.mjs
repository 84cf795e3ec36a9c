// A real OpenID provider beside a test, panva's oidc-provider, over TLS: its people, its keys, and the page on which somebody says
// who they are.

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import Provider from "oidc-provider";

export const SECRET = "what the provider is shown";

const key = (kid) => ({ ...generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" });

export class RealProvider {
  // `people` are what it says of them, by their subjects.
  constructor({ pem, key }, people, redirectUris) {
    Object.assign(this, { people, redirectUris });
    this.server = https.createServer({ cert: readFileSync(pem), key: readFileSync(key) }, (request, response) => this.answer(request, response));
  }

  async start() {
    // By another name than the portal's, so that a browser takes it for another site.
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.issuer = `https://localhost:${this.server.address().port}`;
    this.rotate();
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  // Another key signs from now on, and the ones before are gone.
  rotate() {
    this.keys = (this.keys ?? 0) + 1;
    const { people } = this;
    this.provider = new Provider(this.issuer, {
      clients: [{ client_id: "docklet", client_secret: SECRET, redirect_uris: this.redirectUris, response_types: ["code"], grant_types: ["authorization_code"] }],
      claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
      findAccount: (_, accountId) => people[accountId] && { accountId, claims: () => ({ sub: accountId, ...people[accountId] }) },
      loadExistingGrant: async ({ oidc }) => {
        const grant = new this.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
        grant.addOIDCScope("openid profile email");
        await grant.save();
        return grant;
      },
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      features: { devInteractions: { enabled: false } },
      pkce: { required: () => true },
      cookies: { keys: ["a key of this test"] },
      jwks: { keys: [key(`key-${this.keys}`)] },
      ttl: { AccessToken: 60, AuthorizationCode: 60, IdToken: 60, Interaction: 300, Session: 300, Grant: 300 },
    });
    this.respond = this.provider.callback();
  }

  async answer(request, response) {
    // People are sent back to another master than they came from, if a test wants that.
    const set = response.setHeader.bind(response);
    const [from, to] = this.elsewhere ?? [];
    response.setHeader = (name, value) => set(name, name.toLowerCase() === "location" && from && value.startsWith(from) ? value.replace(from, to) : value);
    if (!request.url.startsWith("/interaction/")) return this.respond(request, response);
    if (request.method === "GET") {
      response.setHeader("content-type", "text/html");
      return response.end('<!doctype html><title>Who are you?</title><form method="post"><label>Subject <input name="subject"></label> <button>This is me</button> <button name="leave" value="yes">Leave</button></form>');
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    const result = form.has("leave") ? { error: "access_denied" } : { login: { accountId: form.get("subject") } };
    await this.provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
}
