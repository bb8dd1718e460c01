/* SPDX-License-Identifier: ISC */
/*
 * libidn2 converts; what it lets pass is judged again by domain_parse(). Its
 * own rules for ASCII (IDN2_USE_STD3_ASCII_RULES) are of no use: they take
 * characters such as "*" and "_" out of a name without a word, which makes
 * another name of it.
 */
#include "base/idn.h"

#include <idn2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"

static const char not_a_name[] = "it is not a domain name: labels of letters, "
    "digits and hyphens, 63 bytes at most, stand between single dots";

bool idn_is_needed(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return true;
	return false;
}

/* What a code means for whoever typed the name. */
static const char *sentence(int code)
{
	switch (code) {
	case IDN2_ENCODING_ERROR:
		return "it is not UTF-8";
	case IDN2_TOO_BIG_DOMAIN:
	case IDN2_TOO_BIG_LABEL:
	case IDN2_PUNYCODE_BIG_OUTPUT:
		return "it is too long: as xn-- a label has 63 bytes at most, "
		    "a name 255";
	case IDN2_DISALLOWED:
	case IDN2_UNASSIGNED:
		return "a character in it cannot stand in a domain name "
		    "(IDNA2008)";
	case IDN2_CONTEXTJ:
	case IDN2_CONTEXTJ_NO_RULE:
	case IDN2_CONTEXTO:
	case IDN2_CONTEXTO_NO_RULE:
		return "a character in it cannot stand at that place of a "
		    "domain name (IDNA2008)";
	case IDN2_LEADING_COMBINING:
		return "a label of it begins with a combining character";
	case IDN2_2HYPHEN:
	case IDN2_HYPHEN_STARTEND:
		return "a label of it has a hyphen at an end, or two of them "
		    "in third and fourth place";
	case IDN2_BIDI:
		return "it mixes left-to-right and right-to-left writing "
		    "(RFC 5893)";
	case IDN2_PUNYCODE_BAD_INPUT:
	case IDN2_PUNYCODE_OVERFLOW:
	case IDN2_INVALID_ALABEL:
	case IDN2_UALABEL_MISMATCH:
	case IDN2_ALABEL_ROUNDTRIP_FAILED:
		return "a label of it has characters that cannot stand in a "
		    "domain name, or begins with xn-- and is no code of one";
	default:
		return "it cannot be converted to the form of the DNS "
		    "(IDNA2008)";
	}
}

/* Bytes of ASCII that no name has: refused before the mapping could hide
 * them. */
static bool has_foreign_byte(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x80 &&
		    strchr("abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", *text) == NULL)
			return true;
	return false;
}

const char *domain_to_ascii(char *out, size_t size, const char *text)
{
	char *converted = NULL;
	int code;

	if (strlen(text) > IDN_TEXT_MAX)
		return sentence(IDN2_TOO_BIG_DOMAIN);
	if (!idn_is_needed(text))
		return domain_parse(out, size, text, strlen(text)) == 0 ?
		    NULL : not_a_name;
	if (has_foreign_byte(text))
		return not_a_name;
	code = idn2_to_ascii_8z(text, &converted, IDN2_NONTRANSITIONAL);
	if (code != IDN2_OK)
		return sentence(code);
	code = domain_parse(out, size, converted, strlen(converted));
	idn2_free(converted);
	return code == 0 ? NULL : not_a_name;
}

static void copy_lower(char *out, size_t size, const char *text)
{
	size_t i;

	for (i = 0; text[i] != '\0' && i + 1 < size; i++)
		out[i] = text[i] >= 'A' && text[i] <= 'Z' ?
		    (char)(text[i] - 'A' + 'a') : text[i];
	out[i] = '\0';
}

const char *domain_pattern_to_ascii(char *out, size_t size, const char *text)
{
	size_t prefix = text[0] == '.' ? 1 : strncmp(text, "*.", 2) == 0 ? 2 :
	    0;

	if (!idn_is_needed(text)) {
		copy_lower(out, size, text);
		return strlen(text) < size ? NULL :
		    sentence(IDN2_TOO_BIG_DOMAIN);
	}
	if (strpbrk(text + prefix, "*?") != NULL)
		return "* and ? cannot stand within a name that is not ASCII: "
		    "write \"*.\" before it, or the name as xn--...";
	memcpy(out, text, prefix);
	return domain_to_ascii(out + prefix, size - prefix, text + prefix);
}

const char *address_pattern_to_ascii(char *out, size_t size, const char *text)
{
	const char *at = strrchr(text, '@');
	size_t local = at == NULL ? 0 : (size_t)(at + 1 - text);

	if (local >= size)
		return sentence(IDN2_TOO_BIG_DOMAIN);
	if (!idn_is_needed(text + local)) {
		snprintf(out, size, "%s", text);
		return strlen(text) < size ? NULL :
		    sentence(IDN2_TOO_BIG_DOMAIN);
	}
	memcpy(out, text, local);
	return domain_pattern_to_ascii(out + local, size - local,
	    text + local);
}
