/* SPDX-License-Identifier: ISC */
/*
 * The words, and what needs nobody in the middle: a socket that nothing
 * reaches, a reset, and the connection that a relay has behind it.
 */
#include "tools/lab/path.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/lab/scenario_options.h"

int lab_path_find(const char *word, size_t length)
{
	int path = lab_word_index(lab_path_words, word, length);

	return path < LAB_PATHS ? path : -1;
}

int lab_path_block(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { .len = 1, .filter = &nothing };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
	    sizeof(program));
}

void lab_path_reset(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

int lab_path_pair(int ends[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ends[0] = ends[1] = -1;
	if (listener == -1 || bind(listener, (struct sockaddr *)&address,
	    length) == -1 || listen(listener, 1) == -1 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) == -1)
		goto fail;
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ends[0] == -1 || connect(ends[0], (struct sockaddr *)&address,
	    length) == -1)
		goto fail;
	ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (ends[1] == -1)
		goto fail;
	close(listener);
	return 0;
fail:
	if (ends[0] != -1)
		close(ends[0]);
	if (listener != -1)
		close(listener);
	return -1;
}
