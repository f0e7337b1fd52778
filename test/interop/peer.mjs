// The server that is called: $ECHO_URL, and with $CERTS its client's papers.
import { readFileSync } from 'node:fs'

export const url = process.env.ECHO_URL
export const tls = process.env.CERTS ? {
	ca: readFileSync(`${process.env.CERTS}/ca.pem`),
	cert: readFileSync(`${process.env.CERTS}/client.pem`),
	key: readFileSync(`${process.env.CERTS}/client.key`),
} : {}
