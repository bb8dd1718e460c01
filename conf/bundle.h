/* SPDX-License-Identifier: ISC */
/*
 * What a role gets as its configuration: the text, and the contents of the
 * files named in it that this role needs (a confined role can open none).
 * Keys go to smtpd only. Made by the supervisor, read by the roles.
 */
#ifndef POSTERN_CONF_BUNDLE_H
#define POSTERN_CONF_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/role.h"

struct buf;
struct conf;
struct table;

struct bundle_file {
	char	*path;		/* as written in the configuration */
	char	*contents;	/* null-terminated; wiped when freed */
	size_t	 length;
	/* One owner; in its place contents is empty. Null: it is a text. */
	struct table *table;
	bool	 is_table;	/* without table: it has not come yet */
	enum role role;		/* the only one that gets it */
	/* Users, aliases, the secret of SRS: the queue, too, for its own
	 * notifications. */
	bool	 shared;
};

struct bundle {
	char			*name;		/* of the configuration file */
	char			*text;
	struct bundle_file	*files;
	size_t			 file_count;
};

/* The text of a file such as the configuration, owned by the caller; null with
 * a sentence in errors that names the file. */
char		*bundle_read_text(const char *path, char **errors);
/* The same of a list that the configuration names: it may be longer, or empty.
 */
char		*bundle_read_list(const char *path, char **errors);
/*
 * Reads the configuration file and every file it names (certificates, keys,
 * trust file, user lists and tables). Null with sentences in errors, each naming the file
 * and the remedy; *conf gets the parsed configuration (owned by the caller).
 */
struct bundle	*bundle_load(const char *path, struct conf **conf,
		    char **errors);
/* The same of the text that a table is made from, which may be long. */
char		*bundle_read_source(const char *path, char **errors);
/* A table that the configuration names as a list of users or of aliases; null
 * with a sentence in errors, as above. One owner. */
struct table	*bundle_read_table(const char *path, bool users,
		    char **errors);
/*
 * Tables are not part of what is encoded: their descriptors go ahead of it.
 * The next one that role needs after this (null: the first), or null.
 */
const struct bundle_file	*bundle_next_table(const struct bundle *bundle,
				    enum role role,
				    const struct bundle_file *after);
/* After decoding: descriptor gives the one of a path, owned from then on, or
 * -1. -1 with a sentence if one is missing. */
int		 bundle_attach_tables(struct bundle *bundle,
		    int (*descriptor)(const char *path), char *error,
		    size_t size);
/* Adds the part that role needs to out. */
int		 bundle_encode(const struct bundle *bundle, enum role role,
		    struct buf *out);
/* Null when it is not a bundle. */
struct bundle	*bundle_decode(const void *data, size_t length);
void		 bundle_free(struct bundle *bundle);
/* Null if there is no such file in it; an empty path names none. */
const struct bundle_file	*bundle_file(const struct bundle *bundle,
				    const char *path);

#endif
