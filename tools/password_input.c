/* SPDX-License-Identifier: ISC */
/*
 * Reads byte by byte: what stdio would keep in its buffer could not be wiped.
 */
#include "tools/password_input.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"

static char *complain(const char *text, const char *about)
{
	fprintf(stderr, "postern: %s%s\n", text, about);
	return NULL;
}

/* One line, without its end. */
static char *read_line(int fd)
{
	char line[PASSWORD_INPUT_MAX + 2];
	size_t length = 0;
	char *text = NULL;
	ssize_t got;

	while ((got = read(fd, line + length, 1)) == 1 &&
	    line[length] != '\n') {
		if (line[length] == '\0' || ++length > PASSWORD_INPUT_MAX) {
			complain("the password is too long, or no text", "");
			goto done;
		}
	}
	if (got < 0) {
		complain("cannot read the password: ", strerror(errno));
		goto done;
	}
	if (length > 0 && line[length - 1] == '\r')
		length--;
	line[length] = '\0';
	if (length == 0)
		complain("no password was given", "");
	else
		text = mem_dup_string(line);
done:
	mem_wipe(line, sizeof(line));
	return text;
}

static char *ask(int terminal, const char *prompt)
{
	struct termios before, silent;
	sigset_t keys, old;
	char *text;

	if (tcgetattr(terminal, &before) == -1)
		return complain("cannot use the terminal: ", strerror(errno));
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* Ended by a key in between, the terminal would stay silent. */
	sigemptyset(&keys);
	sigaddset(&keys, SIGINT);
	sigaddset(&keys, SIGTSTP);
	sigaddset(&keys, SIGQUIT);
	sigprocmask(SIG_BLOCK, &keys, &old);
	dprintf(terminal, "%s", prompt);
	tcsetattr(terminal, TCSAFLUSH, &silent);
	text = read_line(terminal);
	tcsetattr(terminal, TCSAFLUSH, &before);
	dprintf(terminal, "\n");
	sigprocmask(SIG_SETMASK, &old, NULL);
	return text;
}

static char *ask_twice(int terminal, const char *prompt)
{
	char *one = ask(terminal, prompt);
	char *other = one == NULL ? NULL : ask(terminal, "Once more: ");

	if (other != NULL && strcmp(one, other) != 0) {
		complain("these are two different passwords", "");
		mem_free_secret(other);
		other = NULL;
	}
	mem_free_secret(one);
	return other;
}

char *password_input(const char *path, const char *prompt, bool twice)
{
	char *text;
	int fd;

	if (path == NULL && isatty(STDIN_FILENO)) {
		fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
		if (fd == -1)
			return complain("cannot open /dev/tty: ",
			    strerror(errno));
		text = twice ? ask_twice(fd, prompt) : ask(fd, prompt);
		close(fd);
		return text;
	}
	if (path == NULL || strcmp(path, "-") == 0)
		return read_line(STDIN_FILENO);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1) {
		fprintf(stderr, "postern: cannot read %s: %s\n", path,
		    strerror(errno));
		return NULL;
	}
	text = read_line(fd);
	if (text == NULL)
		fprintf(stderr, "postern: nothing was taken from %s\n", path);
	close(fd);
	return text;
}
