#include "test.h"

#include "bed.h"
#include "wire/frames.h"

TEST(frames_come_out_the_same_however_they_are_cut)
{
	struct buf whole = BUF_INIT(0);

	bed_put_beat(&whole);
	bed_put_beat(&whole);
	peer_trailers(&whole, "grpc-status: 0\r\n");
	for (size_t cut = 0; cut <= whole.len; cut++) {
		struct frames f = {0};
		enum frames_step step = FRAMES_MORE;
		struct err err;
		const uint8_t *p;
		int messages = 0;
		size_t len;

		frames_add(&f, whole.p, cut);
		while ((step = frames_next(&f, &p, &len, &err)) ==
		       FRAMES_MESSAGE)
			messages++;
		if (step == FRAMES_MORE)
			frames_add(&f, whole.p + cut, whole.len - cut);
		while (step != FRAMES_END &&
		       (step = frames_next(&f, &p, &len, &err)) ==
			       FRAMES_MESSAGE)
			messages++;
		CHECK_INT(step, FRAMES_END);
		CHECK_INT(err.code, 0);
		CHECK_INT(messages, 2);
		frames_release(&f);
	}
	buf_release(&whole);
}
