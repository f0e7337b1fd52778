#include "fl/reached.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

/* Always as long, and overwritten in place: a process that is killed leaves the
 * old number or the new one. */
enum { WIDTH = 20 };

int reached_read(const char *path, int64_t *n, struct err *err)
{
	char *text, *end;
	size_t len;
	int rc = file_read(&text, &len, path, WIDTH + 1, err);

	*n = 0;
	if (rc)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	*n = strtoll(text, &end, 10);
	if (len && (end == text || *end != '\n' || *n < 0))
		rc = err_set(err, ERR_DATA_LOSS, "%s has no number", path);
	free(text);
	return rc;
}

int reached_write(const char *path, int64_t n, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char text[WIDTH + 2];
	int rc = 0;

	snprintf(text, sizeof(text), "%*" PRId64 "\n", WIDTH, n);
	if (fd < 0 || pwrite(fd, text, WIDTH + 1, 0) != WIDTH + 1)
		rc = err_sys(err, "write %s", path);
	if (fd >= 0)
		close(fd);
	return rc;
}
