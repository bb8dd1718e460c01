/* SPDX-License-Identifier: ISC */
/*
 * Certificates made on the spot, in memory: authorities, leaves with any
 * names, dates and keys. For tests only; every failure ends the program.
 */
#ifndef POSTERN_TESTS_UNIT_CERTIFICATES_H
#define POSTERN_TESTS_UNIT_CERTIFICATES_H

#include <stdbool.h>
#include <stdint.h>

enum certificate_key { CERTIFICATE_ECDSA, CERTIFICATE_RSA,
    CERTIFICATE_RSA_1024 };

struct certificate;
struct evp_pkey_st;
struct x509_st;

/* Zeros mean: ECDSA, self-signed, a leaf without names, valid from yesterday
 * for 30 days, SHA-256. */
struct certificate_plan {
	const char		*common_name;
	/* OpenSSL's words: "DNS:mx.example.org,IP:192.0.2.1". */
	const char		*alternative_names;
	enum certificate_key	 key;
	const struct certificate *issuer;	/* borrowed during the call */
	bool			 authority;
	bool			 signs;		/* as its key usage says, though
						 * it is no authority */
	bool			 sha1;		/* the signature */
	bool			 last;		/* no authority below this one */
	/* OpenSSL's words: "permitted;DNS:example.org"; null: any names. */
	const char		*constraints;
	/* Octets of a DNS name that no text could say; null: none. */
	const char		*raw_name;
	int			 raw_length;
	bool			 for_clients;	/* not for TLS servers */
	int			 from_days, until_days;	/* from now */
};

struct certificate	*certificate_new(const struct certificate_plan *plan);
void			 certificate_free(struct certificate *certificate);
/* Borrowed from the certificate. */
const char	*certificate_pem(const struct certificate *certificate);
const char	*certificate_key_pem(const struct certificate *certificate);
struct x509_st		*certificate_x509(const struct certificate *certificate);
struct evp_pkey_st	*certificate_key(const struct certificate *certificate);
/* 32 bytes each: of the whole, and of its SubjectPublicKeyInfo. */
const uint8_t	*certificate_digest(const struct certificate *certificate);
const uint8_t	*certificate_key_digest(const struct certificate *certificate);
/* The PEM texts of both, leaf first; owned by the caller. */
char		*certificate_chain(const struct certificate *leaf,
		    const struct certificate *issuer);

#endif
