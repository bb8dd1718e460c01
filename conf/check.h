/* SPDX-License-Identifier: ISC */
/*
 * What must hold across options. Problems stop a configuration; advice is for
 * what can be meant but seldom is. Opens no file: what is on disk is looked at
 * by bundle_load(), so that the roles, which see no files, can check too.
 */
#ifndef POSTERN_CONF_CHECK_H
#define POSTERN_CONF_CHECK_H

struct conf;
struct problems;
struct settings;

/* Each member of conf is set and in range; the settings give the lines. */
void	 conf_check(const struct conf *conf, const struct settings *settings,
	    struct problems *problems, struct problems *advice);

#endif
