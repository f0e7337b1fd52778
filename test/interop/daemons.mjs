// connect-node and connect-web at the daemons themselves: a gfl-gateway, $GATEWAY,
// and a gfl-node, $NODE, that has founded a cluster there.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createClient } from '@connectrpc/connect'
import * as node from '@connectrpc/connect-node'
import * as web from '@connectrpc/connect-web'
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { fetch_by_tls, tls } from './peer.mjs'
import { end, run } from './tap.mjs'

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema,
	readFileSync('gfl.binpb')))
const gateway_service = registry.getService('GatewayService')
const node_service = registry.getService('gfl.v1.NodeService')

let id = 1000

async function watch(gateway) {
	const nodeId = ++id
	const kinds = []
	for await (const event of gateway.watchNodes({ snapshot: true })) {
		if (event.node?.nodeId === 1 && event.kind === 'present')
			await gateway.registerNode({ nodeId, ipAddress: '127.0.0.1',
				port: nodeId, metadata: { zone: 'größer 😀' } })
		if (event.node?.nodeId !== nodeId) continue
		kinds.push(event.kind)
		assert.equal(event.node.metadata.zone, 'größer 😀')
		if (event.kind === 'left') break
		await gateway.removeNode({ nodeId })
	}
	assert.deepEqual(kinds, ['joined', 'left'])
}

async function read_log(node) {
	for await (const entry of node.readLog({ follow: true })) {
		assert.ok(entry.index > 0n)
		assert.ok(entry.term > 0n)
		if (entry.entry) break
	}
}

async function cases(name, make) {
	const gateway = createClient(gateway_service, make(process.env.GATEWAY))
	const node = createClient(node_service, make(process.env.NODE))

	await run(`${name}: a gateway is healthy and lists its node`, async () => {
		assert.equal((await gateway.healthCheck({})).status, 'healthy')
		const { nodes } = await gateway.getNodes({})
		assert.ok(nodes.some(n => n.nodeId === 1 && n.status === 'alive' &&
			n.url === process.env.NODE))
	})
	await run(`${name}: a watcher hears who comes and goes`,
		() => watch(gateway))
	await run(`${name}: a node tells its status and log`, async () => {
		assert.equal((await node.getStatus({})).nodeId, 1n)
		await read_log(node)
	})
}

for (const useBinaryFormat of [true, false]) {
	const name = useBinaryFormat ? 'binary' : 'JSON'
	const by_node = (transport, httpVersion) => baseUrl => transport({
		baseUrl, useBinaryFormat, httpVersion, nodeOptions: tls })
	const by_web = transport => baseUrl => transport({
		baseUrl, useBinaryFormat, fetch: fetch_by_tls })

	await cases(`daemons by connect-node, gRPC, ${name}, HTTP/2`,
		by_node(node.createGrpcTransport, '2'))
	for (const http of ['1.1', '2']) {
		await cases(`daemons by connect-node, gRPC-web, ${name}, HTTP/${http}`,
			by_node(node.createGrpcWebTransport, http))
		await cases(`daemons by connect-node, Connect, ${name}, HTTP/${http}`,
			by_node(node.createConnectTransport, http))
	}
	await cases(`daemons by connect-web, gRPC-web, ${name}`,
		by_web(web.createGrpcWebTransport))
	await cases(`daemons by connect-web, Connect, ${name}`,
		by_web(web.createConnectTransport))
}
end()
