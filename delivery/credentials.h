/* SPDX-License-Identifier: ISC */
/*
 * A user name and a password for a host that we send to, as the file of
 * credentials-file has them: two lines, the name and the password, with
 * nothing else. The password is never logged and wiped with the rest.
 */
#ifndef POSTERN_DELIVERY_CREDENTIALS_H
#define POSTERN_DELIVERY_CREDENTIALS_H

#include <stddef.h>

struct credentials {
	char	*user;		/* owned; UTF-8, never empty */
	char	*password;	/* the same */
};

/* Null with "PATH:LINE: what is wrong; what is accepted" in error. */
struct credentials	*credentials_read(const char *path, const char *text,
			    char *error, size_t size);
/* Wipes. Null is allowed. */
void			 credentials_free(struct credentials *credentials);

#endif
