/* SPDX-License-Identifier: ISC */
/*
 * Keys that sign nothing but tests: PKCS#8 in base64, as the file of keys has
 * them. Those that are too weak, or of no use to DKIM, are here to be refused.
 */
#ifndef POSTERN_TESTS_DKIM_KEYS_H
#define POSTERN_TESTS_DKIM_KEYS_H

#define DKIM_TEST_RSA \
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDS2ePhNrFPEm/dX04R" \
	"NedW+ZtWrOGYYgLdKxnHpZ5pAV0391GURxkpudbdw0qQhhNZgUXcgbuxLYzIXLDeZne5" \
	"9/edDqX43rqzzeIiQIVZGDFidEIpOoYzknp1fo4avdUIuggATdVjlF7KUMqjIyfiCs/j" \
	"eVbrpD8L+PDV1ba31Q+xlfnl9W6ogtSeh4TMQi1sHb0C5dW0j3/QHwUDRdLU30JlZOCz" \
	"DPxv7/x39ioOm/yin8geb7Rm+GWCQU8RStRtNr/P+o0X4STBQokT071BDwQfLmVdVbcD" \
	"iu4gBxGuqfZIK5ieQzvPlWBT3pVKz+AnauZI616bTXxdC6o15capAgMBAAECggEATlwz" \
	"2GsfEifj8v2MYdEKnMQ++sNdQ+iI7/Eor43ZhWTAZCBB7T1PGLa8J8aAW524azcj44ND" \
	"YeFvxLbN9JlYPYDuQSxEem0sLc6CEACyjh3znIdgXzokzd3OLQRPg5ixJ4EboCFNAKkP" \
	"YVkNNfvGwrcJ85wQtZpg4+4scwvtz/tuAXl3dwatQzvN+mX5clabQ627DWczHsOkeScU" \
	"yqblV0/pG4f/MTcdUQp4PeN16wI/sYI3hlLkhKaxQbVvUrB+T5XxRsG1KljFLpGhZ8xW" \
	"NSHYC/dXN8FNqvL0ILOceDQCUVpjbPy2FqQPhBBKR8rZTBzJtHb6neIfSxSuLfQckQKB" \
	"gQDwu2R6YzPq5tUYTBMmJ082FA+AT3aAsOmX7WcYMQYjy3Frn091umFxp6TU9T69zsHF" \
	"pQUpDmZe+Gjyl4prHASLUeQbx/mKskhjdX3I9fSuw7q2sxLLVn9FLUmBcskV6fSiwjEB" \
	"rtY3ze/ou/lUZKvdmafW8n7ASqvHHgfHvVgsqwKBgQDgOVdz/F0nqYjkqQWLwNKzzIEc" \
	"rFkV+JqP7FnauX0b0iveeTengCaIjW+CEUmbxi2ZisOvv3+nrD7qm/CFRqE20TLDWJGu" \
	"JF4cKGxACeHvvZzQc45NumXhap5u819lNtmf/D0NKrR/nqeL8NxQ1RnzQtHBgLZfHX/k" \
	"nbJEES/x+wKBgBEUmrp8U3C1VCVXMHyiiWJC5h6qhLP42XooJAp5YAAmLTP/p7moscVI" \
	"qc9aX0tEYkdNwCH7nZPbeEbOLcoPwNrJwq+d7rzCjZRQ/83Edcn4pUTVS94Vkw4rem2u" \
	"4Ummwe7SbHu8FgL7n6wZukUcp30fq+L6bbfjFHEaVl77tkflAoGATI5Hdapsg+Y2fxvW" \
	"cOjdB9aDHq8Zm47N9uXTqAI83QrdP5BTmDUA8w6XS+lrIGyBlTLzrUXM6Aq/UIr9jAOZ" \
	"d4Xltxy+YJ66IxMKIrM9GQW8TM+nfpJtxpEIlwkxQPWBSEZu8dfq2MfqnLUYA+E+gvgF" \
	"dfPkUIVZ7UyKWQMlQ5ECgYEAw2sXfxSt1kB3gBB70A05JeG8mPAnid7msxgZBVOuWZv2" \
	"QivygZFD2POrKDCqRfOLcLUOlbXFRcKGMmDB0RCLfq62UmGtw1b7lxpJmvBO9k4FPdYA" \
	"nN+xI1eu/XKjT2MjM14ZkibmKyxpOZEuGkRds8hSmmq7DqXbjEGW6MJI3pc="

#define DKIM_TEST_ED25519 \
	"MC4CAQAwBQYDK2VwBCIEIKJxk25AtW10NT+C6NTR2FD818PJINtPmxPG+3/KJ9EZ"

#define DKIM_TEST_RSA_512 \
	"MIIBVQIBADANBgkqhkiG9w0BAQEFAASCAT8wggE7AgEAAkEAu/ZjL3PnrLu5/8pNb4LM" \
	"amKQK9CrEO67oIoq910Uu6RmoatjAppE5v5PAuxe4LKyEyhrGu3OrXKm0ldk8FAC/wID" \
	"AQABAkA6tLCz4HqKi7ODPbdDzdF0pMYsuSbEyhuV/7F9wve3xw8xJXLx4EYHGqTdOJUh" \
	"egUrkAO8fAOz249Gar+XBoARAiEA3mTSctpvJyuxcJrdL+aSJQzezVJyGc6KQCunSKJ3" \
	"yDkCIQDYXZtkM+JtpRR2wKOIpkSJgL0P5pPXl0qDt48nwCR09wIhAJpYhuZHS1V4MZHh" \
	"KRmRgGROZmNBkQbwHWsj4Nm8SD2hAiAWiEELgV++PWfRKiSdsXsHutF1m3SgChBngTE2" \
	"WYsyZwIhALqoGSAEkFv+o4osRRE51+oUGXl66CLZgHV2avmpL5JU"

#define DKIM_TEST_EC \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFiasHdlRqgA3iZ27PWnk" \
	"XbrVOzKz0Y++TCKPtTueIHqhRANCAATeGuHOrXMJRDrQ2Uq6micbmU4EEUzyowMf+vSi" \
	"GxAWVenwKkAOME6NOGWQRFK6kud91ivf+H3210Eg/IvavHaN"

/* The file of keys of example.org, with a key of each kind. */
#define DKIM_TEST_FILE \
	"example.org r1 rsa active 2026-11-22T12:42:06Z 2026-11-22T12:42:06Z " \
	DKIM_TEST_RSA "\n" \
	"example.org e1 ed25519 active 2026-11-22T12:42:06Z " \
	"2026-11-22T12:42:06Z " DKIM_TEST_ED25519 "\n"

#endif
