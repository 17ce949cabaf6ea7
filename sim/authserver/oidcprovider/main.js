// An authorization server (npm: oidc-provider) for the tests: it knows nothing of keyrounds and judges our requests as
// others would. It ends TLS itself, at two addresses: its issuer, which asks for no client certificate, and the one for
// mutual TLS, which its metadata names (RFC 8705 §5).
//
// Its argument is JSON: the clients' metadata (RFC 7591), the PEM of the server's certificate with its key, and that of the
// authorities whose clients it trusts. It prints its issuer, and ends with its standard input.
import { generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';

import Provider from 'oidc-provider';
import Memory from 'oidc-provider/lib/adapters/memory_adapter.js';

const { clients, identity, authorities } = JSON.parse(process.argv[2]);

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
  scopes: ['read'],
  features: {
    clientCredentials: { enabled: true }, devInteractions: { enabled: false }, dPoP: { enabled: true }, mTLS,
  },
  discovery: { mtls_endpoint_aliases: { token_endpoint: `${mutual.url}/token` } },
  cookies: { keys: [randomUUID()] },
  jwks: { keys: [privateKey.export({ format: 'jwk' })] },
  ttl: { ClientCredentials: 600 },
  adapter: class extends Memory {}, // by its own name it warns that it forgets
});
plain.server.on('request', provider.callback());
mutual.server.on('request', provider.callback());

console.log(plain.url);
process.stdin.resume().on('end', () => process.exit());
