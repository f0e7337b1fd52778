/* codec - our codecs by lines, for comparison with others' (codec.py).
 *
 * "b HEX" is a message test.All in binary form, "j JSON" one in JSON. Each is
 * answered by a line "HEX<TAB>JSON", or by "! " and why it is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "test/unit/all.pb-c.h"
#include "wire/json.h"

static int from_hex(ProtobufCMessage **out, const char *hex, struct err *err)
{
	size_t len = strlen(hex) / 2;
	unsigned char *bytes = mem_zero(len, 1);
	unsigned byte;
	int rc;

	for (size_t i = 0; i < len; i++) {
		sscanf(hex + 2 * i, "%2x", &byte);
		bytes[i] = (unsigned char)byte;
	}
	rc = rpc_unpack(out, &test__all__descriptor, bytes, len, err);
	free(bytes);
	return rc;
}

static void answer(const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	unsigned char *bytes = mem_zero(len, 1);
	char *hex = mem_zero(2 * len + 1, 1);
	struct buf text = BUF_INIT(0);
	struct err err;

	protobuf_c_message_pack(msg, bytes);
	str_hex(hex, bytes, len);
	if (json_print(&text, msg, 0, &err))
		abort(); /* there is no limit */
	printf("%s\t%s\n", hex, text.p);
	buf_release(&text);
	free(hex);
	free(bytes);
}

static void one(const char *line, size_t len)
{
	ProtobufCMessage *msg = NULL;
	struct err err;
	int rc;

	if (line[0] == 'b')
		rc = from_hex(&msg, line + 2, &err);
	else
		rc = json_parse(&msg, &test__all__descriptor, line + 2, len - 2,
				JSON_STRICT, &err);
	if (rc)
		printf("! %s\n", err.msg);
	else
		answer(msg);
	rpc_free(msg);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, stdin)) > 0) {
		line[--len] = '\0';
		if (len >= 2)
			one(line, (size_t)len);
	}
	free(line);
	return 0;
}
