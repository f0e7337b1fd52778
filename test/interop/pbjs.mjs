// What clients on protobufjs share: its messages as proto3 JSON.
import protobuf from 'protobufjs'

export const options = { longs: String, enums: String, json: true }

// protobufjs sends a key that is false as true.
export const instead = { boolMap: { true: 'COLOUR_RED' } }

// protobufjs keeps a 64-bit key of a map as the eight bytes of a hash.
function unhash(map) {
	return Object.fromEntries(Object.entries(map).map(([k, v]) =>
		[protobuf.util.longFromHash(k, false).toString(), json(v)]))
}

function json(v) {
	if (Buffer.isBuffer(v)) return v.toString('base64')
	if (Array.isArray(v)) return v.map(json)
	if (typeof v !== 'object') return v
	return Object.fromEntries(Object.entries(v).map(([k, one]) =>
		[k, k === 'longMap' ? unhash(one) : json(one)]))
}

// As the cases want it: the data of an Echo(Request|Response) stay bytes.
export function to_plain(method, m) {
	return method === 'Echo' ? json(m) : m
}

const status = protobuf.parse(`
	syntax = "proto3";
	message Any { string type_url = 1; bytes value = 2; }
	message Status { int32 code = 1; string message = 2;
		repeated Any details = 3; }`, { keepCase: true })
	.root.lookupType('Status')

// Of the bytes of grpc-status-details-bin.
export function details(bytes) {
	return status.decode(bytes).details.map(one => ({
		type: one.type_url.replace('type.googleapis.com/', ''),
		value: Buffer.from(one.value).toString('hex'),
	}))
}
