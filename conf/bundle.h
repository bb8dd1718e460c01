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

struct bundle_file {
	char	*path;		/* as written in the configuration */
	char	*contents;	/* null-terminated; wiped when freed */
	size_t	 length;
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
 * trust file, user lists). Null with sentences in errors, each naming the file
 * and the remedy; *conf gets the parsed configuration (owned by the caller).
 */
struct bundle	*bundle_load(const char *path, struct conf **conf,
		    char **errors);
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
