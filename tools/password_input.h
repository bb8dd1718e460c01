/* SPDX-License-Identifier: ISC */
/*
 * A password from whoever runs a command: typed twice without echo on a
 * terminal, or the first line of standard input or of a file. Never from the
 * command line, which every user of the machine can read.
 */
#ifndef POSTERN_TOOLS_PASSWORD_INPUT_H
#define POSTERN_TOOLS_PASSWORD_INPUT_H

#include <stdbool.h>

enum { PASSWORD_INPUT_MAX = 1024 };

/* path null: terminal or standard input; "-": standard input. twice: typed
 * again, to be sure. Owned by the caller, for mem_free_secret(); null with a
 * sentence on stderr. */
char	*password_input(const char *path, const char *prompt, bool twice);

#endif
