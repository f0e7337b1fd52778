// The server that is called: $ECHO_URL, and with $CERTS its client's papers.
import { readFileSync } from 'node:fs'
import { Agent, fetch } from 'undici'

export const url = process.env.ECHO_URL
export const tls = process.env.CERTS ? {
	ca: readFileSync(`${process.env.CERTS}/ca.pem`),
	cert: readFileSync(`${process.env.CERTS}/client.pem`),
	key: readFileSync(`${process.env.CERTS}/client.key`),
} : {}

// Node's own fetch() knows no client certificates.
const dispatcher = new Agent({ connect: tls })
export const fetch_by_tls = (u, init) => fetch(u, { ...init, dispatcher })
