// An authorization server (npm: @node-oauth/oauth2-server) for the tests, which does not form-decode what comes by Basic.
// Its argument is JSON: the secrets of its clients by their ids. It prints its URL and ends with its standard input.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

import OAuth2Server from '@node-oauth/oauth2-server';

const secrets = new Map(Object.entries(JSON.parse(process.argv[2])));

// The library leaves the table of clients to whoever runs it: a row is found by id and secret, as the library read them.
const oauth = new OAuth2Server({
  model: {
    getClient: async (id, secret) => (secrets.get(id) === secret && { id, grants: ['client_credentials'] }),
    getUserFromClient: async (client) => ({ id: client.id }),
    validateScope: async (user, client, scope) => scope,
    saveToken: async (token, client, user) => ({ ...token, client, user }),
  },
});

const server = createServer(async (req, res) => {
  const response = new OAuth2Server.Response();
  const { method, headers } = req;
  const body = Object.fromEntries(new URLSearchParams(await text(req)));
  await oauth.token(new OAuth2Server.Request({ method, headers, query: {}, body }), response).catch(() => {});
  res.writeHead(response.status, { 'Content-Type': 'application/json', ...response.headers });
  res.end(JSON.stringify(response.body));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

console.log(`http://127.0.0.1:${server.address().port}`);
process.stdin.resume().on('end', () => process.exit());
