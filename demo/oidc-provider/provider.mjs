// A real OpenID Connect issuer on loopback, for the demo and the tests.
//
// Usage: node provider.mjs PORT. Prints "ready" when it listens. Three clients may ask for tokens with their secrets:
// `crew` for ones that live ten minutes, `short-lived` for ones that live one second, `many-groups` for one of 200
// groups. The token's audience is the `resource` that the request names.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const lifetimes = { crew: 600, 'short-lived': 1, 'many-groups': 600 };
const manyGroups = Array.from({ length: 200 }, (_, number) => `group-${number}`);

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  clients: Object.keys(lifetimes).map((id) => ({
    client_id: id,
    client_secret: `secret-of-${id}`,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource, client) => ({
        scope: '',
        audience: resource,
        accessTokenTTL: lifetimes[client.clientId],
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  // Machine tokens have no groups of their own: this issuer puts them into a claim.
  extraTokenClaims: (_context, token) => ({
    sub: token.clientId,
    groups: ['crew-analytics', ...(token.clientId === 'many-groups' ? manyGroups : [])],
  }),
  ttl: { ClientCredentials: (_context, token) => lifetimes[token.clientId] ?? 600 },
});

provider.listen(port, '127.0.0.1', () => console.log('ready'));
