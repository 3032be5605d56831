package credential

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //nolint:staticcheck // imported hashes
)

// digests has the functions by whose names imported hashes call them.
var digests = map[string]func() hash.Hash{
	"md4": md4.New, "md5": md5.New, "sha1": sha1.New,
	"sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// Digest is a hash of a password that was made by one call of a digest, or of an HMAC.
type Digest struct {
	Algorithm string // md4, md5, sha1, sha224, sha256, sha384 or sha512
	Sum       []byte
	Salt      []byte // may be empty
	SaltFirst bool   // the salt stands in front of the password, not behind it
	HMACKey   []byte // nil unless Sum is an HMAC
	UTF16     bool   // the password was encoded as UTF-16, the low byte first, such as by NTLM
}

// digestHash is a Digest to verify passwords by.
type digestHash struct {
	quick
	Digest
}

// DigestHash returns the stored form of a digest.
func DigestHash(d Digest) (string, error) {
	if err := d.check(); err != nil {
		return "", err
	}
	return d.String(), nil
}

// String returns a PHC string with the algorithm a, the encoding of the password e, the order
// of the salt o, and the key of the HMAC k, as far as they are not the usual ones.
func (d Digest) String() string {
	text := "$digest$a=" + d.Algorithm
	if d.UTF16 {
		text += ",e=utf16le"
	}
	if len(d.Salt) > 0 {
		text += ",o=" + saltOrder(d.SaltFirst)
	}
	if d.HMACKey != nil {
		text += ",k=" + b64.EncodeToString(d.HMACKey)
	}
	return text + "$" + b64.EncodeToString(d.Salt) + "$" + b64.EncodeToString(d.Sum)
}

func (d Digest) check() error {
	newHash := digests[d.Algorithm]
	switch {
	case newHash == nil:
		return ErrUnsupportedHash
	case len(d.Sum) != newHash().Size() || len(d.Salt) > maxPartSize || len(d.HMACKey) > maxPartSize || d.HMACKey != nil && len(d.HMACKey) == 0:
		return ErrMalformedHash
	}
	return nil
}

// parseDigest parses the parts of what String returns.
func parseDigest(parts []string) (hasher, error) {
	if len(parts) != 3 {
		return nil, ErrMalformedHash
	}
	var d Digest
	for field := range strings.SplitSeq(parts[0], ",") {
		name, value, _ := strings.Cut(field, "=")
		var err error
		switch name {
		case "a":
			d.Algorithm = value
		case "e":
			d.UTF16 = value == "utf16le"
		case "o":
			d.SaltFirst, err = parseSaltOrder(value)
		case "k":
			d.HMACKey, err = decodePart(value)
		}
		if err != nil {
			return nil, err
		}
	}
	var err error
	if d.Salt, d.Sum, err = decodeSaltAndKey(parts[1], parts[2]); err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.String() != "$digest$"+strings.Join(parts, "$") {
		return nil, ErrMalformedHash
	}
	return digestHash{Digest: d}, nil
}

func (h digestHash) matches(password string) bool {
	newHash := digests[h.Algorithm]
	sum := newHash()
	if h.HMACKey != nil {
		sum = hmac.New(newHash, h.HMACKey)
	}
	if h.UTF16 {
		password = utf16LE(password)
	}
	sum.Write([]byte(salted(password, h.Salt, h.SaltFirst)))
	return subtle.ConstantTimeCompare(sum.Sum(nil), h.Sum) == 1
}

// utf16LE returns text as UTF-16, the low byte of each unit first.
func utf16LE(text string) string {
	var bytes []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		bytes = binary.LittleEndian.AppendUint16(bytes, unit)
	}
	return string(bytes)
}

// salted returns the password with the salt in front of it or behind it.
func salted(password string, salt []byte, saltFirst bool) string {
	if saltFirst {
		return string(salt) + password
	}
	return password + string(salt)
}

// saltOrder returns the word of stored hashes for where the salt stands.
func saltOrder(saltFirst bool) string {
	if saltFirst {
		return "prefix"
	}
	return "suffix"
}

func parseSaltOrder(text string) (saltFirst bool, err error) {
	if text != "prefix" && text != "suffix" {
		return false, ErrMalformedHash
	}
	return text == "prefix", nil
}

// cutScheme returns the scheme of a hash in LDAP, such as SSHA, in capital letters, and what
// is behind it.
func cutScheme(text string) (scheme, rest string, ok bool) {
	if inside, ok := strings.CutPrefix(text, "{"); ok {
		scheme, rest, ok = strings.Cut(inside, "}")
		return strings.ToUpper(scheme), rest, ok
	}
	return "", "", false
}

// ldapDigests has the digests of the schemes in LDAP (RFC 2307, and what OpenLDAP adds). A
// salt stands behind the sum and behind the password, if the scheme has one.
var ldapDigests = map[string]struct {
	algorithm string
	salted    bool
}{
	"MD5": {"md5", false}, "SMD5": {"md5", true}, "SHA": {"sha1", false}, "SSHA": {"sha1", true},
	"SHA256": {"sha256", false}, "SSHA256": {"sha256", true}, "SHA384": {"sha384", false}, "SSHA384": {"sha384", true},
	"SHA512": {"sha512", false}, "SSHA512": {"sha512", true},
}

func parseLDAP(scheme, rest string) (hasher, error) {
	if (scheme == "CRYPT" || scheme == "ARGON2") && strings.HasPrefix(rest, "$") {
		return parseHash(rest)
	}
	of, ok := ldapDigests[scheme]
	if !ok {
		return nil, ErrUnsupportedHash
	}
	bytes, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(rest, "="))
	size := digests[of.algorithm]().Size()
	if err != nil || len(bytes) < size || !of.salted && len(bytes) > size {
		return nil, ErrMalformedHash
	}
	d := Digest{Algorithm: of.algorithm, Sum: bytes[:size], Salt: bytes[size:]}
	if err := d.check(); err != nil {
		return nil, err
	}
	return digestHash{Digest: d}, nil
}
