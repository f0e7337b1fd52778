/* Values and indices of a peer: what is read is finite, in order and in range,
 * and, written again, is read as the same. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "fl/payload.h"

enum { N = 1000, MAX = 600 };

static struct payload_form form_of(uint8_t byte)
{
	return (struct payload_form){
		.dtype = (enum payload_dtype)(byte % 3),
		.codec = (enum payload_codec)(byte >> 2 & 1),
		.indexed = byte >> 3 & 1,
	};
}

static void check(const struct payload_form *form, uint32_t k,
		  const uint32_t *index, const float *values)
{
	for (uint32_t i = 0; i < k; i++) {
		FUZZ_CHECK(isfinite(values[i]));
		FUZZ_CHECK(!form->indexed || index[i] < N);
		FUZZ_CHECK(!form->indexed || !i || index[i] > index[i - 1]);
	}
}

/* But for int8: a value there may have been written by other scales. */
static void again(const struct payload_form *form, uint32_t k,
		  const uint32_t *index, const float *values)
{
	static uint32_t index2[MAX];
	static float sent[MAX], values2[MAX];
	struct buf bytes = BUF_INIT(0);
	struct err err;

	FUZZ_CHECK(!payload_encode(form, index, values, k, sent, &bytes, &err));
	FUZZ_CHECK(!payload_decode(form, bytes.p, bytes.len, N, k, index2,
				   values2, &err));
	FUZZ_CHECK(!memcmp(sent, values2, k * sizeof(*sent)));
	FUZZ_CHECK(form->dtype == PAYLOAD_INT8 ||
		   !memcmp(values, values2, k * sizeof(*sent)));
	FUZZ_CHECK(!form->indexed ||
		   !memcmp(index, index2, k * sizeof(*index)));
	buf_release(&bytes);
}

/* Of the input the first byte is the form, the next two how many values. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint32_t index[MAX];
	static float values[MAX];
	struct payload_form form;
	struct err err;
	uint32_t k;

	if (len < 3)
		return 0;
	form = form_of(data[0]);
	k = (uint32_t)(data[1] | data[2] << 8) % MAX;
	if (payload_decode(&form, data + 3, len - 3, N, k, index, values,
			   &err)) {
		FUZZ_CHECK(err.code == ERR_INVALID_ARGUMENT);
		return 0;
	}
	check(&form, k, index, values);
	again(&form, k, index, values);
	return 0;
}
