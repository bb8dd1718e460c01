/* SPDX-License-Identifier: ISC */
/*
 * What handlers of signals do is allowed in them: tcsetattr(3), write(2), and
 * the signal again with its first meaning.
 */
#include "tools/live_screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { WIDTH_DEFAULT = 80, HEIGHT_DEFAULT = 24 };

static const char enter_sequence[] = "\033[?1049h\033[?25l\033[?7l";
static const char leave_sequence[] = "\033[?7h\033[?25h\033[?1049l";

static struct termios former;
static volatile sig_atomic_t entered, stale;
static sigset_t awake;		/* what is let through while we sleep */

static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT,
    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGPIPE, SIGXCPU };

static void put(const char *text, size_t length)
{
	ssize_t done;

	/* Nothing can be done about a terminal that is gone. */
	done = write(STDOUT_FILENO, text, length);
	(void)done;
}

bool live_screen_is_possible(void)
{
	const char *name = getenv("TERM");

	return isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) &&
	    name != NULL && name[0] != '\0' && strcmp(name, "dumb") != 0;
}

static void take(void)
{
	struct termios raw = former;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	entered = 1;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	put(enter_sequence, sizeof(enter_sequence) - 1);
}

static void give_back(void)
{
	if (!entered)
		return;
	entered = 0;
	put(leave_sequence, sizeof(leave_sequence) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &former);
}

static void on_end(int number)
{
	give_back();
	signal(number, SIG_DFL);
	raise(number);
}

static void on_resize(int number)
{
	(void)number;
	stale = 1;
}

static void on_stop(int number);

static void catch(int number, void (*handler)(int number))
{
	struct sigaction action = { .sa_handler = handler };

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

/* The signal is blocked here: it stops us when it is let through. */
static void on_stop(int number)
{
	sigset_t set;

	give_back();
	catch(number, SIG_DFL);
	raise(number);
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	/* Here we go on. */
	catch(number, on_stop);
	take();
	stale = 1;
}

static void block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, &awake);
	sigdelset(&awake, SIGTSTP);
	sigdelset(&awake, SIGWINCH);
}

void live_screen_enter(void)
{
	static bool registered;

	if (tcgetattr(STDIN_FILENO, &former) == -1)
		return;
	if (!registered)
		atexit(live_screen_leave);
	registered = true;
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		catch(ending[i], on_end);
	block();
	catch(SIGTSTP, on_stop);
	catch(SIGWINCH, on_resize);
	take();
}

void live_screen_leave(void)
{
	give_back();
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		catch(ending[i], SIG_DFL);
	catch(SIGTSTP, SIG_DFL);
	catch(SIGWINCH, SIG_DFL);
	sigprocmask(SIG_SETMASK, &awake, NULL);
}

int live_screen_poll(struct pollfd *watched, unsigned count, int milliseconds)
{
	struct timespec limit = { milliseconds / 1000,
	    milliseconds % 1000 * 1000000L };

	return ppoll(watched, count, &limit, entered ? &awake : NULL);
}

void live_screen_size(size_t *width, size_t *height)
{
	struct winsize size;

	*width = WIDTH_DEFAULT;
	*height = HEIGHT_DEFAULT;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 ||
	    size.ws_col == 0 || size.ws_row == 0)
		return;
	*width = size.ws_col;
	*height = size.ws_row;
}

bool live_screen_is_stale(void)
{
	bool was = stale;

	stale = 0;
	return was;
}

void live_screen_begin(void)
{
	fputs("\033[H", stdout);
}

/* Behind the last line of the screen an end of line would scroll it. */
void live_screen_line(const char *text, bool reversed, bool last)
{
	printf("%s%s%s\033[K%s", reversed ? "\033[7m" : "", text,
	    reversed ? "\033[0m" : "", last ? "" : "\n");
}

void live_screen_end(void)
{
	fputs("\033[J", stdout);
	fflush(stdout);
}

int live_screen_key(void)
{
	unsigned char key;

	return read(STDIN_FILENO, &key, 1) == 1 ? key : 0;
}
