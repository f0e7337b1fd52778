// Results as TAP. What a client cannot do is said, and is no success.
let count = 0
let failed = 0

export async function run(name, body) {
	let timer
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error('hangs')), 60000)
	})
	count++
	try {
		await Promise.race([body(), late])
		console.log(`ok ${count} ${name}`)
	} catch (e) {
		failed++
		for (const line of String(e?.stack ?? e).split('\n'))
			console.log(`# ${line.slice(0, 500)}`)
		console.log(`not ok ${count} ${name}`)
	} finally {
		clearTimeout(timer)
	}
}

export function skip(name, why) {
	console.log(`# skip ${name}: ${why}`)
}

export function end() {
	console.log(`1..${count}`)
	process.exit(failed ? 1 : 0)
}
