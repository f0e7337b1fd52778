/* tensor_impl.h - what the files of tensor.h share. */
#ifndef WIRE_TENSOR_IMPL_H
#define WIRE_TENSOR_IMPL_H

#include <openssl/evp.h>

#include "proto/tensor.pb-c.h"
#include "wire/tensor.h"

enum { TENSOR_AHEAD = 2 << 20 }; /* bytes that wait for a slow reader */

/* One message, in place. */
struct tensor_chunk {
	const uint8_t *head; /* NULL: none */
	size_t head_len;
	const uint8_t *data;
	size_t len;
	const uint8_t *crc; /* of data, its 4 bytes; NULL: none */
};

/* From its binary form, which protobuf-c would copy: malformed, or above
 * TENSOR_CHUNK, is INVALID_ARGUMENT. */
int tensor_parse(struct tensor_chunk *out, const void *p, size_t len,
		 struct err *err) MUST_CHECK;

/* A head with its info: dtype and shape fit the size, the sum is one or empty.
 * Else INVALID_ARGUMENT. */
int tensor_info_of(struct tensor_info *info, uint64_t *offset,
		   const Gfl__V1__TensorHead *head, struct err *err) MUST_CHECK;

/* A tensor that arrives, piece by piece. */
struct tensor_in {
	const struct tensor_sink *sink;
	void *arg;
	struct tensor_info info; /* its sum: empty until it is known, if ever */
	uint64_t at;             /* bytes that are there */
	uint64_t skip; /* of those that come, which are there already */
	bool begun;    /* the sink has seen info */
	bool headed;   /* this stream has said what it brings */
	EVP_MD_CTX *sum; /* NULL: not begun, or the chunks' own will do */
};

/* Some of it is there. */
int tensor_in_had(struct tensor_in *in, const struct tensor_had *had,
		  struct err *err) MUST_CHECK;
void tensor_in_release(struct tensor_in *in);
void tensor_in_restart(struct tensor_in *in); /* another stream follows */
int tensor_in_head(struct tensor_in *in, const Gfl__V1__TensorHead *head,
		   struct err *err) MUST_CHECK;
/* crc: the chunk's own sum, or NULL. */
int tensor_in_data(struct tensor_in *in, const void *p, size_t len,
		   const uint32_t *crc, struct err *err) MUST_CHECK;
int tensor_in_end(struct tensor_in *in, struct err *err) MUST_CHECK;

/* A tensor that leaves. */
struct tensor_out {
	struct tensor_info info;
	struct tensor_bytes from;
	uint64_t at;
	uint8_t *room; /* for a file's bytes */
	bool headed;
};

/* The next chunk, borrowed until the one after; false: there is none. */
struct tensor_piece {
	Gfl__V1__TensorChunk chunk;
	Gfl__V1__TensorHead head;
};
bool tensor_out_more(const struct tensor_out *out);
int tensor_out_next(struct tensor_out *out, struct tensor_piece *piece,
		    struct err *err) MUST_CHECK;
void tensor_piece_sum(struct tensor_piece *piece); /* the chunk's own */
void tensor_out_release(struct tensor_out *out);

#endif
