// What every client has to get along with, said once for all of them.
//
// A client is {name, unary, serverStream, clientStream, bidi, failure}, and in cannot
// what it cannot: {case: reason}; instead are fields of which its library can
// do only this. Messages are proto3 JSON, but that the data
// of EchoRequest and EchoResponse are bytes. Calls take {timeoutMs, signal};
// failure() makes {code, message, details} of what a call has thrown.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { run, skip } from './tap.mjs'

const TEXT = 'größer 😀\n\t"\\%\u2028'
const DEADLINE_EXCEEDED = 4
const CANCELLED = 1
const DATA_LOSS = 15

const everything = JSON.parse(readFileSync('everything.json'))

// {retryDelay: {seconds: 2}} and {locale: "en", message: "später"}
const DETAILS = [
	{ type: 'google.rpc.RetryInfo', value: '0a020802' },
	{ type: 'google.rpc.LocalizedMessage', value: '0a02656e120773' +
		'70c3a4746572' },
]

const oneofs = [
	{},
	{ oneText: '' },
	{ oneSub: {} },
	{ oneInt32: 0 },
	{ oneData: '' },
]

async function all(stream) {
	const out = []
	for await (const m of stream) out.push(m)
	return out
}

async function* several(n, init) {
	for (let i = 0; i < n; i++) yield init(i)
}

// What a call fails with; messages before are counted.
async function failing(c, call) {
	let seen = 0
	try {
		const result = call()
		if (result[Symbol.asyncIterator])
			for await (const _ of result) seen++
		else
			await result
	} catch (e) {
		return { seen, ...c.failure(e) }
	}
	throw new Error('does not fail')
}

async function stats(c) {
	const { held = 0, cancelled = 0 } = await c.unary('Stats', {})
	return { held: Number(held), cancelled: Number(cancelled) }
}

async function until(c, what) {
	while (!what(await stats(c)));
}

async function there_and_back(c, size) {
	const data = randomBytes(size)
	const back = await c.unary('Unary', { data })
	assert.equal(Buffer.compare(data, back.data), 0)
}

// Held calls, unary and streaming, that end.
async function held(c, opts, code, end) {
	const calls = ['unary', 'serverStream'].map((kind, i) =>
		failing(c, () => c[kind](i ? 'HoldStream' : 'Hold', {}, opts)))
	await end()
	for (const call of calls)
		assert.equal((await call).code, code)
}

const cases = {
	'one message there and back': async c => {
		const m = { text: TEXT, data: randomBytes(300),
			number: '-9223372036854775808' }
		assert.deepEqual(await c.unary('Unary', m), m)
	},
	'an empty message': async c => {
		assert.deepEqual(await c.unary('Unary', {}), {})
	},
	'all types of fields': async c => {
		for (const one of oneofs) {
			const m = { ...everything, ...one, ...c.instead }
			assert.deepEqual(await c.unary('Echo', m), m)
		}
	},
	'3 MB there and back': c => there_and_back(c, 3000000),
	'20 MB there and back': c => there_and_back(c, 20000000),
	'20 MB of JSON are refused': async c => {
		const text = 'a'.repeat(20000000)
		const e = await failing(c, () => c.unary('Unary', { text }))
		assert.equal(e.code, 8)
	},
	'100 calls at once': async c => {
		const calls = []
		for (let i = 1; i <= 100; i++)
			calls.push(c.unary('Unary', { number: String(i) }))
		const numbers = (await Promise.all(calls)).map(m => m.number)
		assert.deepEqual(numbers, numbers.map((_, i) => String(i + 1)))
	},
	'server stream: 500 messages in order': async c => {
		const out = await all(c.serverStream('ServerStream',
			{ count: 500, size: 10 }))
		assert.deepEqual(out.map(m => Number(m.number ?? 0)),
			[...Array(500).keys()])
		assert.ok(out.every(m => m.data.length === 10))
	},
	'server stream: 20 of 1 MiB': async c => {
		const out = await all(c.serverStream('ServerStream',
			{ count: 20, size: 1 << 20 }))
		assert.equal(out.length, 20)
		assert.ok(out.every(m => m.data.length === 1 << 20))
	},
	'server stream: no message': async c => {
		assert.deepEqual(await all(c.serverStream('ServerStream', {})),
			[])
	},
	'server stream: each message when it is sent': async c => {
		let n = 0
		for await (const m of c.serverStream('ServerStream',
			{ count: 1000000, intervalMs: 20 })) {
			assert.equal(Number(m.number ?? 0), n)
			if (++n === 5) break
		}
	},
	'server stream: fails after three messages': async c => {
		const e = await failing(c, () => c.serverStream('ServerStream',
			{ count: 9, failAfter: 3 }))
		assert.deepEqual([e.seen, e.code, e.message],
			[3, DATA_LOSS, 'größer than a stream may be: %'])
	},
	'client stream: 100 messages': async c => {
		const sum = await c.clientStream('ClientStream', several(100,
			i => ({ text: 'é', data: Buffer.alloc(3),
				number: String(i) })))
		assert.deepEqual(sum, { count: '100', sum: '4950', bytes: '300',
			text: 'é'.repeat(100) })
	},
	'client stream: 8 of 1 MiB': async c => {
		const data = randomBytes(1 << 20)
		const sum = await c.clientStream('ClientStream',
			several(8, () => ({ data })))
		assert.deepEqual(sum, { count: '8', bytes: String(8 << 20) })
	},
	'client stream: no message': async c => {
		assert.deepEqual(await c.clientStream('ClientStream',
			several(0)), {})
	},
	'both stream: 100 messages, then the answers': async c => {
		const out = await all(c.bidi('Bidi', several(100,
			i => ({ text: `é${i}` }))))
		assert.deepEqual(out.map(m => m.text),
			[...Array(100).keys()].map(i => `é${i}`))
	},
	'both stream: each answer before the next question': async c => {
		let answered
		async function* questions() {
			for (let i = 1; i <= 50; i++) {
				const answer = new Promise(r => { answered = r })
				yield { number: String(i) }
				assert.equal((await answer).number, String(i))
			}
		}
		for await (const m of c.bidi('Bidi', questions()))
			answered(m)
	},
	'errors: every code, with a message that is not ASCII': async c => {
		for (let code = 1; code <= 16; code++) {
			const message = `größer 😀\n% ${code}`
			for (const [kind, method] of [['unary', 'Fail'],
				['serverStream', 'FailStream']]) {
				const e = await failing(c, () => c[kind](method,
					{ code, message }))
				assert.deepEqual([e.code, e.message],
					[code, message])
			}
		}
	},
	'errors: details': async c => {
		for (const [kind, method] of [['unary', 'Fail'],
			['serverStream', 'FailStream']]) {
			const e = await failing(c, () => c[kind](method, {
				code: 8, message: 'é', retryAfterS: 2,
				hint: 'später' }))
			assert.deepEqual(e.details, DETAILS)
		}
	},
	'errors: a method that is not served': async c => {
		const e = await failing(c, () => c.unary('Missing', {}))
		assert.equal(e.code, 12)
	},
	'deadline: held calls expire': async c => {
		await held(c, { timeoutMs: 200 }, DEADLINE_EXCEEDED, () => {})
		await until(c, s => !s.held)
	},
	'cancel: the server sees that held calls are': async c => {
		const stop = new AbortController()
		const { cancelled } = await stats(c)
		await held(c, { signal: stop.signal }, CANCELLED, async () => {
			await until(c, s => s.held === 2)
			stop.abort()
		})
		await until(c, s => !s.held && s.cancelled === cancelled + 2)
	},
	'gzip both ways': async c => {
		const text = 'é'.repeat(100000)
		const zipped = c.zipped()
		// Not every client tells in what an answer was compressed.
		const is_gzip = () => !zipped.encoding ||
			assert.equal(zipped.encoding(), 'gzip')
		const back = await zipped.unary('Unary', { text })
		assert.equal(back.text, text)
		is_gzip()
		const [one] = await all(zipped.serverStream('ServerStream',
			{ count: 1, size: 100000 }))
		assert.equal(one.data.length, 100000)
		is_gzip()
		zipped.close?.()
	},
}

export async function run_all(c) {
	for (const [name, body] of Object.entries(cases)) {
		const why = c.cannot[name.split(':')[0]] ?? c.cannot[name]
		const full = `${c.name}: ${name}`
		if (why)
			skip(full, why)
		else
			await run(full, () => body(c))
	}
	c.close?.()
}
