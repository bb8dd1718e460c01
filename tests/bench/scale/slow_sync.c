/* SPDX-License-Identifier: ISC */
/*
 * slow_sync: for LD_PRELOAD. Every fsync() and fdatasync() of the process
 * takes POSTERN_SYNC_MILLISECONDS longer (5 unless said otherwise), as on a
 * disk that has to turn.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_a_while(void)
{
	const char *text = getenv("POSTERN_SYNC_MILLISECONDS");
	long milliseconds = text == NULL ? 5 : strtol(text, NULL, 10);
	struct timespec time = { milliseconds / 1000,
	    milliseconds % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

int fsync(int fd)
{
	int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

	wait_a_while();
	return next(fd);
}

int fdatasync(int fd)
{
	int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

	wait_a_while();
	return next(fd);
}
