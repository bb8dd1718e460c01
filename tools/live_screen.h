/* SPDX-License-Identifier: ISC */
/*
 * A terminal that is taken over for a picture that changes: the other screen,
 * no cursor, single keys without echo. It is given back as it was however the
 * process ends: by return, by exit(3), by a signal that ends or stops it. One
 * at a time; no library but the kernel's and a few sequences that all terminals
 * of today know.
 */
#ifndef POSTERN_TOOLS_LIVE_SCREEN_H
#define POSTERN_TOOLS_LIVE_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

struct pollfd;

/* Whether standard output and input are a terminal that can do it. */
bool	 live_screen_is_possible(void);
void	 live_screen_enter(void);
void	 live_screen_leave(void);
void	 live_screen_size(size_t *width, size_t *height);
/* poll(2), and the only place where the terminal's size may change and the
 * process be stopped: neither is missed before it sleeps. */
int	 live_screen_poll(struct pollfd *watched, unsigned count,
	    int milliseconds);
/* True once after the size has changed or the process went on after a stop:
 * the picture is to be drawn again. */
bool	 live_screen_is_stale(void);
/* A picture from the first line on; text is printable ASCII, no longer than the
 * screen is wide. last: it stands in the screen's last line. */
void	 live_screen_begin(void);
void	 live_screen_line(const char *text, bool reversed, bool last);
void	 live_screen_end(void);
/* The next key that was pressed; 0 if none. */
int	 live_screen_key(void);

#endif
