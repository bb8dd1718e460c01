/* SPDX-License-Identifier: ISC */
/*
 * Tells systemd how the service is (sd_notify(3), Type=notify). Does nothing
 * when NOTIFY_SOCKET is not set.
 */
#ifndef POSTERN_TOOLS_NOTIFY_H
#define POSTERN_TOOLS_NOTIFY_H

/* state: "READY=1", "STOPPING=1", lines separated by newlines. */
void	notify_state(const char *state);
/* RELOADING=1 with the time that systemd wants beside it. */
void	notify_reloading(void);

#endif
