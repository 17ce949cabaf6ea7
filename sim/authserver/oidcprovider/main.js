// An authorization server (npm: oidc-provider) for the tests: it knows nothing of keyrounds and judges our requests as
// others would. It ends TLS itself, at two addresses: its issuer, which asks for no client certificate, and the one for
// mutual TLS, which its metadata names (RFC 8705 §5).
//
// Its argument is JSON: the clients' metadata (RFC 7591), the PEM of the server's certificate with its key, that of the
// authorities whose clients it trusts, and the people who can sign in: their claims by their sub. Who that is at a sign-in says the
// parameter login_hint, and nobody is asked anything; without it, or with another, the sign-in is refused. It prints its issuer, and
// ends with its standard input.
import { generateKeyPairSync, randomBytes, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';

import Provider from 'oidc-provider';
import Memory from 'oidc-provider/lib/adapters/memory_adapter.js';

const { clients, identity, authorities, people } = JSON.parse(process.argv[2]);

async function serve(asks) {
  const server = createServer({
    cert: identity, key: identity, ca: authorities, requestCert: asks, rejectUnauthorized: false,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `https://127.0.0.1:${server.address().port}` };
}

const plain = await serve(false);
const mutual = await serve(true);

// What oidc-provider leaves to whoever runs it, since TLS ends there: Node's reading of the certificate.
const shown = (ctx) => ctx.socket.getPeerX509Certificate?.();
const mTLS = {
  enabled: true,
  tlsClientAuth: true,
  selfSignedTlsClientAuth: true,
  certificateBoundAccessTokens: true,
  getCertificate: shown,
  certificateAuthorized: (ctx) => ctx.socket.authorized,
  certificateSubjectMatches: (ctx, property, expected) =>
    property === 'tls_client_auth_subject_dn' && shown(ctx).subject === expected,
};

// jwks adds what RFC 8705 §2.2 wants of a certificate that a client registered.
function withCertificate({ certificate, ...client }) {
  if (!certificate) return client;
  const key = new X509Certificate(Buffer.from(certificate, 'base64')).publicKey.export({ format: 'jwk' });
  return { ...client, jwks: { keys: [{ ...key, x5c: [certificate] }] } };
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const provider = new Provider(plain.url, {
  clients: clients.map(withCertificate),
  clientAuthMethods: [...new Set(clients.map((c) => c.token_endpoint_auth_method))],
  clientDefaults: { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
  scopes: ['read', 'openid', 'profile', 'email', 'groups'],
  claims: {
    openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'],
  },
  conformIdTokenClaims: true, // they are at the userinfo endpoint
  findAccount: (ctx, sub) => people?.[sub] && { accountId: sub, claims: () => ({ sub, ...people[sub] }) },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    clientCredentials: { enabled: true }, devInteractions: { enabled: false }, mTLS,
    // Whoever is in its id asked for it has to show a nonce (RFC 9449 §8).
    dPoP: {
      enabled: true, nonceSecret: randomBytes(32), requireNonce: (ctx) => ctx.oidc.client?.clientId === 'dpop-nonce',
    },
  },
  discovery: { mtls_endpoint_aliases: { token_endpoint: `${mutual.url}/token` } },
  cookies: { keys: [randomUUID()] },
  jwks: { keys: [privateKey.export({ format: 'jwk' })] },
  ttl: { ClientCredentials: 600 },
  adapter: class extends Memory {}, // by its own name it warns that it forgets
});

// interact does what a person would do on the pages of the server.
async function interact(req, res) {
  const { prompt, params, session } = await provider.interactionDetails(req, res);
  const sub = session?.accountId ?? params.login_hint;
  let result = { error: 'access_denied' };
  if (prompt.name === 'login' && people?.[sub]) {
    result = { login: { accountId: sub } };
  } else if (prompt.name === 'consent') {
    const grant = new provider.Grant({ accountId: sub, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    result = { consent: { grantId: await grant.save() } };
  }
  await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true });
}

const serveOAuth = provider.callback();
plain.server.on('request', (req, res) => {
  if (!req.url.startsWith('/interaction/')) return serveOAuth(req, res);
  return interact(req, res).catch((err) => { res.statusCode = 500; res.end(String(err)); });
});
mutual.server.on('request', provider.callback());

console.log(plain.url);
process.stdin.resume().on('end', () => process.exit());
