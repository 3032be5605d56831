package format

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"

	"roster/credential"
)

// password is what a record says of the hash of a password.
type password struct {
	hash, method, salt, saltFormat, saltPosition string
	column                                       string
	custom                                       *customHash
}

// errNoFirebase says that hashes are of Firebase, and how it hashed is not known.
var errNoFirebase = errors.New("of Firebase, and needs the parameters of its project: signer key, salt separator, rounds and memory cost")

// finishPassword sets the hash in its stored form. A hash that can't be taken over costs
// the password alone.
func (d *draft) finishPassword() {
	var err error
	switch p := &d.password; {
	case p.custom != nil:
		d.PasswordHash, err = p.custom.stored()
	case p.hash != "":
		d.PasswordHash, err = p.stored(d.reader)
	default:
		return
	}
	if err != nil {
		d.PasswordHash = ""
		d.warn(UnsupportedHash, d.password.column, "The person comes without their password: the hash is %v.", err)
	}
}

// stored returns the stored form of the hash.
func (p *password) stored(r *Reader) (string, error) {
	method := normalized(p.method)
	if method == "" && r.format == FirebaseNDJSON {
		method = "firebasescrypt"
	}
	switch method {
	case "firebasescrypt":
		if r.options.Firebase == nil {
			return "", errNoFirebase
		}
		salt, hash, err := decodedPair(p.salt, p.hash, "base64")
		if err != nil {
			return "", err
		}
		return credential.FirebaseHash(*r.options.Firebase, salt, hash)
	case "md4", "md5", "sha1", "sha256", "sha384", "sha512":
		if strings.HasPrefix(p.hash, "$") || strings.HasPrefix(p.hash, "{") {
			break // says itself what it is
		}
		sum, err := decoded(p.hash, "hex")
		if err != nil {
			return "", err
		}
		encoding := "utf8"
		if normalized(p.saltFormat) == "hex" {
			encoding = "hex"
		}
		salt, err := decoded(p.salt, encoding)
		if err != nil {
			return "", err
		}
		return credential.DigestHash(credential.Digest{Algorithm: method, Sum: sum, Salt: salt, SaltFirst: normalized(p.saltPosition) != "suffix"})
	}
	return p.hash, credential.CheckHash(p.hash)
}

// decoded returns the bytes that text stands for: its own (utf8), hex, or either alphabet
// of base64, with or without padding.
func decoded(text, encoding string) ([]byte, error) {
	var b []byte
	var err error
	switch encoding {
	case "", "utf8", "utf-8", "ascii":
		return []byte(text), nil
	case "hex":
		b, err = hex.DecodeString(text)
	case "base64":
		text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		b, err = base64.RawStdEncoding.DecodeString(text)
	default:
		return nil, credential.ErrUnsupportedHash
	}
	if err != nil {
		return nil, credential.ErrMalformedHash
	}
	return b, nil
}

func decodedPair(first, second, encoding string) (a, b []byte, err error) {
	if a, err = decoded(first, encoding); err != nil {
		return nil, nil, err
	}
	b, err = decoded(second, encoding)
	return a, b, err
}

// encoded is a text with its encoding, as Auth0 writes keys, salts and hashes.
type encoded struct {
	Value    string `json:"value"`
	Encoding string `json:"encoding"`
}

// customHash is custom_password_hash of Auth0's bulk imports
// (https://auth0.com/docs/manage-users/user-migration/bulk-user-import-database-schema-and-examples).
type customHash struct {
	Algorithm string `json:"algorithm"`
	Hash      struct {
		encoded
		Digest string  `json:"digest"`
		Key    encoded `json:"key"`
	} `json:"hash"`
	Salt struct {
		encoded
		Position string `json:"position"`
	} `json:"salt"`
	Password struct {
		Encoding string `json:"encoding"`
	} `json:"password"`
	Keylen          int `json:"keylen"`
	Cost            int `json:"cost"`
	BlockSize       int `json:"blockSize"`
	Parallelization int `json:"parallelization"`
}

// parseCustomHash returns what custom_password_hash says.
func parseCustomHash(raw []byte) (*customHash, error) {
	c := &customHash{Cost: 16384, BlockSize: 8, Parallelization: 1}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, credential.ErrMalformedHash
	}
	return c, nil
}

// stored returns the stored form of the hash.
func (c *customHash) stored() (string, error) {
	salt, err := decoded(c.Salt.Value, c.Salt.Encoding)
	if err != nil {
		return "", err
	}
	saltFirst := c.Salt.Position != "suffix"
	utf16 := c.Password.Encoding == "utf16le"
	switch c.Password.Encoding {
	case "", "utf8", "utf-8", "ascii":
	default:
		if !utf16 {
			return "", credential.ErrUnsupportedHash
		}
	}
	switch c.Algorithm {
	case "md4", "md5", "sha1", "sha256", "sha512":
		sum, err := decoded(c.Hash.Value, c.Hash.Encoding)
		if err != nil {
			return "", err
		}
		return credential.DigestHash(credential.Digest{Algorithm: c.Algorithm, Sum: sum, Salt: salt, SaltFirst: saltFirst, UTF16: utf16})
	case "hmac":
		sum, err := decoded(c.Hash.Value, c.Hash.Encoding)
		if err != nil {
			return "", err
		}
		key, err := decoded(c.Hash.Key.Value, c.Hash.Key.Encoding)
		if err != nil {
			return "", err
		}
		return credential.DigestHash(credential.Digest{Algorithm: c.Hash.Digest, Sum: sum, Salt: salt, SaltFirst: saltFirst, HMACKey: key, UTF16: utf16})
	}
	if utf16 {
		return "", credential.ErrUnsupportedHash
	}
	switch c.Algorithm {
	case "scrypt":
		key, err := decoded(c.Hash.Value, c.Hash.Encoding)
		if err != nil {
			return "", err
		}
		if c.Keylen != 0 && c.Keylen != len(key) {
			return "", credential.ErrMalformedHash
		}
		return credential.ScryptHash(c.Cost, c.BlockSize, c.Parallelization, salt, key)
	case "bcrypt":
		if len(salt) > 0 {
			return credential.BcryptHash(c.Hash.Value, salt, saltFirst)
		}
	case "argon2", "pbkdf2", "ldap":
	default:
		return "", credential.ErrUnsupportedHash
	}
	return c.Hash.Value, credential.CheckHash(c.Hash.Value)
}
