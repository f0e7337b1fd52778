// The official runtime of gRPC-web, on an XMLHttpRequest for Node.
import { Agent } from 'node:https'
import grpc_web from 'grpc-web'
import protobuf from 'protobufjs'
import xhr2 from 'xhr2'
import { run_all } from './cases.mjs'
import { tls, url } from './peer.mjs'
import { details, instead, options, to_plain } from './pbjs.mjs'
import { end } from './tap.mjs'

globalThis.XMLHttpRequest = xhr2
xhr2.nodejsSet({ httpsAgent: new Agent({ ...tls, keepAlive: true }) })

const service = protobuf.loadSync('echo.proto')
	.lookupService('gfl.test.EchoService').resolveAll()

// What protoc-gen-grpc-web would generate.
const methods = Object.fromEntries(service.methodsArray.map(m => [m.name,
	new grpc_web.MethodDescriptor(`/gfl.test.EchoService/${m.name}`,
		m.responseStream ? 'server_streaming' : 'unary', Object, Object,
		plain => m.resolvedRequestType.encode(
			m.resolvedRequestType.fromObject(plain)).finish(),
		bytes => to_plain(m.name, m.resolvedResponseType.toObject(
			m.resolvedResponseType.decode(Buffer.from(bytes)), options)))]))

function failure(e) {
	const bin = e.metadata?.['grpc-status-details-bin']
	return { code: e.code, message: e.message,
		details: bin ? details(Buffer.from(bin, 'base64')) : [] }
}

const meta = opts => opts?.timeoutMs ?
	{ deadline: String(Date.now() + opts.timeoutMs) } : {}

function rpc_call(base, method, m, opts) {
	return new Promise((resolve, reject) => {
		const call = base.rpcCall(`${url}/gfl.test.EchoService/${method}`, m,
			meta(opts), methods[method],
			(e, answer) => e ? reject(e) : resolve(answer))
		// Nothing is called back after a cancel().
		opts?.signal?.addEventListener('abort', () => {
			call.cancel()
			reject({ code: 1 })
		})
	})
}

function unary_call(base, method, m, opts) {
	return base.unaryCall(`${url}/gfl.test.EchoService/${method}`, m,
		meta(opts), methods[method], { signal: opts?.signal })
}

async function* stream(base, method, m, opts) {
	const call = base.serverStreaming(`${url}/gfl.test.EchoService/${method}`,
		m, meta(opts), methods[method])
	const events = []
	let wake
	const event = (kind, value) => {
		events.push([kind, value])
		wake?.()
	}
	for (const kind of ['data', 'error', 'end'])
		call.on(kind, value => event(kind, value))
	opts?.signal?.addEventListener('abort', () => event('error', { code: 1 }))
	try {
		for (;;) {
			while (!events.length)
				await new Promise(r => { wake = r })
			const [kind, value] = events.shift()
			if (kind === 'error') throw value
			if (kind === 'end') return
			yield value
		}
	} finally {
		call.cancel()
	}
}

const BROWSER = 'browsers cannot stream what they send'

for (const format of ['text', 'binary']) {
	for (const unary of [rpc_call, unary_call]) {
		const base = new grpc_web.GrpcWebClientBase({ format,
			maxReceiveMessageSize: 0 })
		const bind = fn => (...args) => fn(base, ...args)
		await run_all({
			name: `grpc-web, ${format}, ` +
				(unary === rpc_call ? 'rpcCall' : 'unaryCall'),
			failure, instead, unary: bind(unary), serverStream: bind(stream),
			cannot: {
				'client stream': BROWSER, 'both stream': BROWSER,
				'20 MB of JSON are refused': 'speaks no JSON',
				'gzip both ways': 'knows no compression',
				'server stream: each message when it is sent':
					'xhr2 shows nothing before the end',
			},
		})
	}
}
end()
