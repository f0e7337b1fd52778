// grpc-js, with what proto-loader makes of echo.proto.
import grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { run_all } from './cases.mjs'
import { tls, url } from './peer.mjs'
import { details, instead, options, to_plain } from './pbjs.mjs'
import { end } from './tap.mjs'

const Service = grpc.loadPackageDefinition(loadSync('echo.proto', options))
	.gfl.test.EchoService
const creds = tls.ca ? grpc.credentials.createSsl(tls.ca, tls.key, tls.cert) :
	grpc.credentials.createInsecure()

function failure(e) {
	const [bin] = e.metadata?.get('grpc-status-details-bin') ?? []
	return { code: e.code, message: e.details,
		details: bin ? details(bin) : [] }
}

function client(name, more) {
	const service = new Service(new URL(url).host, creds, {
		'grpc.max_receive_message_length': -1, ...more })
	// What the call takes besides messages; it ends with the signal.
	const begin = ({ timeoutMs, signal } = {}, make) => {
		const call = make(new grpc.Metadata(),
			timeoutMs ? { deadline: Date.now() + timeoutMs } : {})
		signal?.addEventListener('abort', () => call.cancel())
		return call
	}
	const send = async (call, messages) => {
		for await (const m of messages)
			if (!call.write(m))
				await new Promise(r => call.once('drain', r))
		call.end()
	}
	const receive = async function* (method, call) {
		try {
			for await (const m of call) yield to_plain(method, m)
		} finally {
			call.cancel()
		}
	}
	const answer = (method, resolve, reject) => (e, m) =>
		e ? reject(e) : resolve(to_plain(method, m))
	return {
		name, failure, instead,
		cannot: { '20 MB of JSON are refused': 'speaks no JSON' },
		unary: (method, m, opts) => new Promise((resolve, reject) =>
			begin(opts, (meta, o) => service[method](m, meta, o,
				answer(method, resolve, reject)))),
		serverStream: (method, m, opts) => receive(method, begin(opts,
			(meta, o) => service[method](m, meta, o))),
		clientStream: (method, ms, opts) =>
			new Promise((resolve, reject) => send(begin(opts,
				(meta, o) => service[method](meta, o,
					answer(method, resolve, reject))), ms)),
		bidi: (method, ms, opts) => {
			const call = begin(opts, (meta, o) =>
				service[method](meta, o))
			send(call, ms)
			return receive(method, call)
		},
		zipped: () => client(name, { 'grpc.default_compression_algorithm':
			grpc.compressionAlgorithms.gzip }),
		close: () => service.close(),
	}
}

await run_all(client('grpc-js'))
end()
