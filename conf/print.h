/* SPDX-License-Identifier: ISC */
/*
 * The table of options in words: the sample file, the option list of
 * postern.conf(5), and a configuration as it is in force. The first two are
 * committed (conf/postern.conf.sample, man/postern.conf.5) and compared with
 * this by a test.
 */
#ifndef POSTERN_CONF_PRINT_H
#define POSTERN_CONF_PRINT_H

#include <stdio.h>

struct conf;

/*
 * Every option with what it does and its default. Prose begins with "# ", an
 * option with "#" alone: without that it is a working configuration.
 */
void	 conf_print_sample(FILE *out);
/* mdoc(7), sub-sections to go into postern.conf(5). */
void	 conf_print_manual(FILE *out);
/* In the syntax of the file, defaults included; reading it again gives the
 * same configuration. */
void	 conf_print(FILE *out, const struct conf *conf);

#endif
