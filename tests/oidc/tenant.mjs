// A tenant as Auth0 runs one, for tests: real OpenID Connect on loopback, told by lines of JSON on
// stdin who signs in next. It ends when stdin does.
//   {"person": {"sub": …, "roles": …, "seconds": …}}   whom the next sign-in is
//   {"person": null}                                   the next sign-in is refused
//   {"token": {claims}}                                answers {"token": …} with these claims
//   {"rotate": true}                                   another signing key takes over
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [home, clientId, clientSecret, rolesClaim] = process.argv.slice(2);
const { OAuth2Server } = await import(
  pathToFileURL(`${home}/node_modules/oauth2-mock-server/dist/index.mjs`)
);

const server = new OAuth2Server(undefined, undefined, {
  shouldIssuerUrlBeSuffixedWithATralingSlash: true,
  endpoints: { jwks: "/.well-known/jwks.json", token: "/oauth/token" },
});
let key = await server.issuer.keys.generate("RS256");
let person = null;
const audiences = new Map();

server.service.on("beforeAuthorizeRedirect", ({ url }, request) => {
  if (person === null) {
    url.searchParams.delete("code");
    url.searchParams.set("error", "access_denied");
  } else {
    audiences.set(url.searchParams.get("code"), request.query.audience);
  }
});

server.service.on("beforeTokenSigning", ({ payload }, request) => {
  const now = Math.floor(Date.now() / 1000);
  payload.sub = person.sub;
  payload.exp = now + person.seconds;
  delete payload.nbf;
  if (payload.aud !== undefined) {
    // What other providers say of somebody stands in the ID token.
    Object.assign(payload, person.claims ?? {});
  } else {
    // The access token. Without an audience it says nothing, as Auth0's.
    const audience = audiences.get(request.body.code);
    if (audience !== undefined) {
      payload.aud = [audience, `${server.issuer.url}userinfo`];
      payload[rolesClaim] = person.roles;
    }
  }
});

server.service.on("beforeResponse", (response, request) => {
  const expected = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString("base64")}`;
  if (request.headers.authorization !== expected) {
    response.statusCode = 401;
    response.body = { error: "invalid_client" };
  }
});

const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);
await server.start(0, "localhost");
say({ issuer: server.issuer.url });
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  if (asked.person !== undefined) {
    person = asked.person;
    say({ done: true });
  } else if (asked.rotate) {
    key = await server.issuer.keys.generate("RS256");
    say({ done: true });
  } else {
    const claims = (_, payload) => Object.assign(payload, asked.token);
    say({ token: await server.issuer.buildToken({ kid: key.kid, scopesOrTransform: claims }) });
  }
}
process.exit(0);
