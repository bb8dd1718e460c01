/* SPDX-License-Identifier: ISC */
/*
 * tools/control_client.h without a server: what a command asks is written
 * down, and answered with what the test has set, in order; after the last one
 * with nothing and CONTROL_OK.
 */
#ifndef POSTERN_TESTS_FAKE_CONTROL_CLIENT_H
#define POSTERN_TESTS_FAKE_CONTROL_CLIENT_H

#include <stddef.h>

#include "tools/control_client.h"

/* Forgets requests and answers. */
void		 fake_control_reset(void);
/* lines: JSON objects, one a line. All borrowed. */
void		 fake_control_answer(const char *lines, int code,
		    const char *message);
/* All requests, one a line: "policy explain {...}", members sorted. */
const char	*fake_control_requests(void);

#endif
