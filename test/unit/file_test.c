#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static int files_here(void)
{
	DIR *dir = opendir(".");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

TEST(file_that_cannot_be_written_leaves_the_old_one)
{
	const struct file_part old = {"old", 3}, more = {"new", 3};
	struct err err;
	size_t len;
	char *p;

	CHECK(!file_replace("f", &more, 1, &err));
	CHECK(!file_replace("f", &old, 1, &err));
	CHECK_INT(file_replace("no/f", &more, 1, &err), ERR_NOT_FOUND);
	CHECK_HAS(err.msg, "write no/f: No such file");
	CHECK(!mkdir("dir", 0700));
	CHECK_INT(file_replace("dir", &more, 1, &err), ERR_RESOURCE_EXHAUSTED);
	CHECK_INT(file_replaceable("no/f", &err), ERR_NOT_FOUND);
	CHECK_HAS(err.msg, "write no/f: No such file");
	CHECK_INT(file_replaceable("dir", &err), ERR_RESOURCE_EXHAUSTED);
	CHECK(!file_replaceable("dir/f", &err));
	CHECK(!file_replaceable("f", &err));
	CHECK(!file_replaceable("/dev/null", &err));
	CHECK_INT(files_here(), 2);
	CHECK_INT(file_read(&p, &len, "f", 2, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "f has 3 bytes, expected at most 2");
	CHECK(!file_read(&p, &len, "f", 3, &err));
	CHECK_STR(p, "old");
	free(p);
}

TEST(what_is_no_file_takes_the_bytes_and_stays_what_it_is)
{
	const struct file_part parts[] = {{"one ", 4}, {"two", 4}};
	char got[8];
	struct stat st;
	struct err err;
	int fd;

	CHECK(!mkfifo("pipe", 0600));
	CHECK((fd = open("pipe", O_RDWR | O_CLOEXEC)) >= 0);
	CHECK(!file_replace("pipe", parts, 2, &err));
	CHECK_INT(read(fd, got, sizeof(got)), 8);
	CHECK_STR(got, "one two");
	CHECK(!stat("pipe", &st) && S_ISFIFO(st.st_mode));
	close(fd);
	CHECK(!symlink("/dev/full", "full"));
	CHECK_INT(file_replace("full", parts, 2, &err), ERR_RESOURCE_EXHAUSTED);
	CHECK_HAS(err.msg, "write full: No space left on device");
	CHECK(!lstat("full", &st) && S_ISLNK(st.st_mode));
	CHECK_INT(files_here(), 2);
}

TEST(what_a_killed_writer_left_is_swept_and_nothing_else)
{
	static const char *const names[] = {"sub/f", "sub/f.tmp-aB3xyZ",
					    "sub/f.tmp-longer1", "sub/f.backup",
					    "sub/g.tmp-aB3xyZ"};
	const struct file_part part = {"x", 1};
	struct err err;

	CHECK(!mkdir("sub", 0700));
	for (int i = 0; i < 5; i++)
		CHECK(!file_replace(names[i], &part, 1, &err));
	file_sweep("sub/f");
	for (int i = 0; i < 5; i++)
		CHECK_INT(access(names[i], F_OK), i == 1 ? -1 : 0);
	CHECK(!chdir("sub"));
	file_sweep("g");
	CHECK(access("g.tmp-aB3xyZ", F_OK));
	file_sweep("none/f");
}

TEST(directories_of_ours_are_for_us_alone)
{
	const struct file_part part = {"x", 1};
	struct err err;
	struct stat st;

	CHECK(!file_make_dirs("x/y/z", &err));
	CHECK(!file_make_dirs("x/y/z", &err));
	CHECK(!stat("x/y/z", &st));
	CHECK_INT(st.st_mode & 0777, 0700);
	CHECK(!file_replace("file", &part, 1, &err));
	CHECK(file_make_dirs("file/y", &err) != 0);
	CHECK_HAS(err.msg, "make directory file");
}
