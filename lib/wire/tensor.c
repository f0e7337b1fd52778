/* The pieces of a tensor, whichever way they travel. */
#include "wire/tensor_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- sums and files ---- */

static EVP_MD_CTX *sum_new(void)
{
	EVP_MD_CTX *sum = EVP_MD_CTX_new();

	if (!sum || !EVP_DigestInit_ex(sum, EVP_sha256(), NULL))
		abort();
	return sum;
}

static void sum_add(EVP_MD_CTX *sum, const void *p, size_t len)
{
	if (!EVP_DigestUpdate(sum, p, len))
		abort();
}

static void sum_end(EVP_MD_CTX *sum, char hex[TENSOR_SHA256])
{
	unsigned char bytes[32];

	if (!EVP_DigestFinal_ex(sum, bytes, NULL))
		abort();
	str_hex(hex, bytes, sizeof(bytes));
	EVP_MD_CTX_free(sum);
}

static int read_at(int fd, void *p, size_t len, uint64_t offset,
		   struct err *err)
{
	for (size_t had = 0; had < len;) {
		ssize_t n = pread(fd, (char *)p + had, len - had,
				  (off_t)(offset + had));

		if (n < 0)
			return err_sys(err, "read tensor");
		if (!n)
			return err_set(err, ERR_DATA_LOSS,
				       "the file of the tensor is cut short");
		had += (size_t)n;
	}
	return 0;
}

int tensor_write(int fd, uint64_t offset, const void *p, size_t len,
		 struct err *err)
{
	for (size_t had = 0; had < len;) {
		ssize_t n = pwrite(fd, (const char *)p + had, len - had,
				   (off_t)(offset + had));

		if (n < 0)
			return err_sys(err, "write tensor");
		had += (size_t)n;
	}
	return 0;
}

int tensor_hash(struct tensor_info *info, const struct tensor_bytes *from,
		struct err *err)
{
	struct tensor_out out = {.info = *info, .from = *from, .headed = true};
	EVP_MD_CTX *sum = sum_new();
	struct tensor_piece piece;
	int rc = 0;

	while (!rc && tensor_out_more(&out)) {
		rc = tensor_out_next(&out, &piece, err);
		if (!rc)
			sum_add(sum, piece.chunk.data.data,
				piece.chunk.data.len);
	}
	sum_end(sum, info->sha256);
	tensor_out_release(&out);
	return rc;
}

/* ---- in ---- */

int tensor_in_had(struct tensor_in *in, const struct tensor_had *had,
		  struct err *err)
{
	struct tensor_out out = {.info = {.size = had->had},
				 .from = {.fd = had->fd},
				 .headed = true};
	struct tensor_piece piece;
	int rc = 0;

	str_copy(in->info.sha256, sizeof(in->info.sha256), had->sha256);
	in->sum = sum_new();
	while (!rc && tensor_out_more(&out)) {
		rc = tensor_out_next(&out, &piece, err);
		if (!rc)
			sum_add(in->sum, piece.chunk.data.data,
				piece.chunk.data.len);
	}
	in->at = had->had;
	tensor_out_release(&out);
	return rc;
}

void tensor_in_release(struct tensor_in *in)
{
	EVP_MD_CTX_free(in->sum);
	in->sum = NULL;
}

void tensor_in_restart(struct tensor_in *in)
{
	in->headed = false;
	if (!in->begun || *in->info.sha256)
		return;
	in->begun = false;
	in->at = 0;
}

int tensor_in_head(struct tensor_in *in, const Gfl__V1__TensorHead *head,
		   struct err *err)
{
	struct tensor_info info;
	uint64_t offset;
	int rc = tensor_info_of(&info, &offset, head, err);

	if (rc)
		return rc;
	if (!*info.sha256 && !in->sink->brief)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a tensor without a sum");
	if (in->headed || offset > in->at)
		return err_set(err, ERR_DATA_LOSS,
			       "a tensor from byte %llu on instead of %llu",
			       (unsigned long long)offset,
			       (unsigned long long)in->at);
	if (*in->info.sha256 &&
	    (strcmp(info.sha256, in->info.sha256) != 0 || in->at > info.size))
		return err_set(err, ERR_ABORTED,
			       "the tensor is another one by now");
	in->headed = true;
	in->skip = in->at - offset;
	if (in->begun)
		return 0;
	in->begun = true;
	in->info = info;
	if (!in->sum && *info.sha256)
		in->sum = sum_new();
	return in->sink->begin(&in->info, in->arg, err);
}

/* The chunk's own sum; and whether that of all is computed. */
static int check_chunk(struct tensor_in *in, const void *p, size_t len,
		       const uint32_t *crc, struct err *err)
{
	uint32_t own = crc ? crc32c_of(0, p, len) : 0;

	if (crc && *crc != own)
		return err_set(err, ERR_DATA_LOSS,
			       "the sum of a chunk is %08x instead of %08x",
			       own, *crc);
	if (crc && in->sink->brief && !in->at) {
		EVP_MD_CTX_free(in->sum);
		in->sum = NULL;
	}
	if (!crc && !in->sum)
		return err_set(err, ERR_DATA_LOSS,
			       "a chunk of the tensor has no sum");
	return 0;
}

int tensor_in_data(struct tensor_in *in, const void *p, size_t len,
		   const uint32_t *crc, struct err *err)
{
	const char *from = p;
	size_t old = in->skip < len ? (size_t)in->skip : len;
	int rc;

	if (!in->headed)
		return err_set(err, ERR_DATA_LOSS, "a tensor without a head");
	rc = check_chunk(in, p, len, crc, err);
	if (rc)
		return rc;
	from += old;
	len -= old;
	in->skip -= old;
	if (len > in->info.size - in->at)
		return err_set(err, ERR_DATA_LOSS,
			       "more than the %llu bytes of the tensor",
			       (unsigned long long)in->info.size);
	if (!len)
		return 0;
	if (in->sum)
		sum_add(in->sum, from, len);
	in->at += len;
	return in->sink->bytes(in->at - len, from, len, in->arg, err);
}

int tensor_in_end(struct tensor_in *in, struct err *err)
{
	char sum[TENSOR_SHA256];

	if (!in->headed || in->at < in->info.size)
		return err_set(err, ERR_DATA_LOSS,
			       "%llu bytes of %llu of the tensor",
			       (unsigned long long)in->at,
			       (unsigned long long)in->info.size);
	if (!in->sum)
		return 0;
	sum_end(in->sum, sum);
	in->sum = NULL;
	if (!strcmp(sum, in->info.sha256))
		return 0;
	return err_set(err, ERR_DATA_LOSS,
		       "the tensor's sum is %.16s… instead of %.16s…", sum,
		       in->info.sha256);
}

/* ---- out ---- */

bool tensor_out_more(const struct tensor_out *out)
{
	return !out->headed || out->at < out->info.size;
}

static void add_head(struct tensor_out *out, struct tensor_piece *piece)
{
	Gfl__V1__TensorHead *h = &piece->head;

	gfl__v1__tensor_head__init(h);
	h->dtype = out->info.dtype;
	h->n_shape = (size_t)out->info.rank;
	h->shape = out->info.shape;
	h->size = out->info.size;
	h->sha256 = out->info.sha256;
	h->offset = out->at;
	h->layout = out->info.layout;
	h->version = out->info.version;
	piece->chunk.head = h;
	out->headed = true;
}

int tensor_out_next(struct tensor_out *out, struct tensor_piece *piece,
		    struct err *err)
{
	uint64_t left = out->info.size - out->at;
	size_t len = left < TENSOR_CHUNK ? (size_t)left : TENSOR_CHUNK;
	const uint8_t *p = out->from.p;
	int rc = 0;

	gfl__v1__tensor_chunk__init(&piece->chunk);
	if (!out->headed)
		add_head(out, piece);
	if (!p) {
		if (!out->room)
			out->room = mem_zero(TENSOR_CHUNK, 1);
		rc = read_at(out->from.fd, out->room, len, out->at, err);
	}
	piece->chunk.data.data =
		p ? (uint8_t *)(uintptr_t)p + out->at : out->room;
	piece->chunk.data.len = len;
	out->at += len;
	return rc;
}

void tensor_piece_sum(struct tensor_piece *piece)
{
	Gfl__V1__TensorChunk *c = &piece->chunk;

	c->_crc32c_case = GFL__V1__TENSOR_CHUNK___CRC32C_CRC32C;
	c->crc32c = crc32c_of(0, c->data.data, c->data.len);
}

void tensor_out_release(struct tensor_out *out)
{
	free(out->room);
	out->room = NULL;
}
