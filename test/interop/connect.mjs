// connect-node and connect-web: gRPC, gRPC-web and Connect, binary and JSON.
import { readFileSync } from 'node:fs'
import { createClient, ConnectError } from '@connectrpc/connect'
import * as node from '@connectrpc/connect-node'
import * as web from '@connectrpc/connect-web'
import { createFileRegistry, fromBinary, fromJson, toJson }
	from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { run_all } from './cases.mjs'
import { end } from './tap.mjs'
import { fetch_by_tls, tls, url } from './peer.mjs'

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema,
	readFileSync('echo.binpb')))
const service = registry.getService('gfl.test.EchoService')

// The data of these are bytes to the cases.
const raw = desc => /\.Echo(Request|Response)$/.test(desc.typeName)

function to_message(desc, { data, ...rest }) {
	if (!raw(desc)) return fromJson(desc, { ...rest, ...data && { data } })
	const m = fromJson(desc, rest)
	if (data) m.data = data
	return m
}

function to_plain(desc, m) {
	if (!raw(desc)) return toJson(desc, m)
	const { data } = m
	m.data = new Uint8Array()
	return { ...toJson(desc, m), ...data.length && { data: Buffer.from(data) } }
}

async function* map(stream, fn) {
	for await (const m of stream) yield fn(m)
}

function failure(e) {
	const error = ConnectError.from(e)
	return {
		code: error.code,
		message: error.rawMessage,
		details: error.details.map(({ type, value }) =>
			({ type, value: Buffer.from(value).toString('hex') })),
	}
}

function client(name, transport, options, more) {
	const c = createClient(service, transport(options))
	let encoding
	const opts = given => ({
		...given,
		onHeader: h => {
			encoding = h.get('content-encoding') ??
				h.get('connect-content-encoding') ??
				h.get('grpc-encoding')
		},
	})
	const calls = {}
	for (const method of service.methods) {
		const fn = c[method.localName]
		const inp = m => to_message(method.input, m)
		const out = m => to_plain(method.output, m)
		calls[method.name] = {
			unary: async (m, o) => out(await fn(inp(m), opts(o))),
			server_streaming: (m, o) => map(fn(inp(m), opts(o)), out),
			client_streaming: async (ms, o) =>
				out(await fn(map(ms, inp), opts(o))),
			bidi_streaming: (ms, o) => map(fn(map(ms, inp), opts(o)), out),
		}[method.methodKind]
	}
	const call = (method, m, o) => calls[method](m, o)
	return {
		name, failure,
		unary: call, serverStream: call, clientStream: call, bidi: call,
		encoding: () => encoding,
		zipped: () => client(name, transport, { ...options,
			acceptCompression: [node.compressionGzip],
			sendCompression: node.compressionGzip }, {}),
		...more,
	}
}

// JSON.stringify() makes -0 a 0.
const NO_MINUS_ZERO = { doubles: [0.1, 0, 'Infinity', 'NaN'] }

// Node's HTTP/2 does not understand an early answer while it has more than 10 MB
// (its default) to send.
const MEMORY = 100

const HALF = 'over HTTP/1.1 the answers follow the questions'
const BROWSER = 'browsers cannot stream what they send'
const INFLATED = 'fetch inflates by itself, and does not deflate'
const LIMIT = 'JSON is refused above 4 MiB'
const BINARY = 'is not refused'

function cannot(binary, more) {
	return {
		...binary ? { '20 MB of JSON are refused': BINARY } :
			{ '20 MB there and back': LIMIT },
		...more,
	}
}

async function of_node(protocol, transport, binary, http) {
	const half = http === '1.1'
	const name = `connect-node, ${protocol}, ${binary ? 'binary' : 'JSON'}, ` +
		`HTTP/${http}`
	await run_all(client(name, transport, {
		baseUrl: url, useBinaryFormat: binary, httpVersion: http,
		nodeOptions: { ...tls, ...!half && { maxSessionMemory: MEMORY } },
	}, {
		instead: binary ? {} : NO_MINUS_ZERO,
		cannot: cannot(binary, half && {
			'both stream: each answer before the next question':
				HALF }),
	}))
}

async function of_web(protocol, transport, binary) {
	const name = `connect-web, ${protocol}, ${binary ? 'binary' : 'JSON'}`
	await run_all(client(name, transport, {
		baseUrl: url, useBinaryFormat: binary,
		fetch: fetch_by_tls,
	}, {
		instead: binary ? {} : NO_MINUS_ZERO,
		cannot: cannot(binary, {
			'client stream': BROWSER, 'both stream': BROWSER,
			'gzip both ways': INFLATED }),
	}))
}

for (const binary of [true, false]) {
	await of_node('gRPC', node.createGrpcTransport, binary, '2')
	for (const http of ['1.1', '2']) {
		await of_node('gRPC-web', node.createGrpcWebTransport, binary, http)
		await of_node('Connect', node.createConnectTransport, binary, http)
	}
	await of_web('gRPC-web', web.createGrpcWebTransport, binary)
	await of_web('Connect', web.createConnectTransport, binary)
}
end()
