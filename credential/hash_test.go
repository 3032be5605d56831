package credential

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"roster/secret"
)

// sample is the password of hashSamples. None of them has another one.
const sample = "tall trees in winter"

// hashSamples has hashes of sample that other programs have made, each in its stored form: by
// crypt(3) of libxcrypt 4.4 (bcrypt, sha-crypt, md5-crypt), by Python's hashlib and hmac, by
// the digests of OpenSSL 3 (md4), and by what the documentation of a vendor says.
var hashSamples = map[string]func() (string, error){
	"bcrypt $2a$": asItIs("$2a$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C"),
	"bcrypt $2b$": asItIs("$2b$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C"),
	"bcrypt $2y$": asItIs("$2y$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C"),
	"bcrypt with no salt": func() (string, error) {
		return BcryptHash("$2b$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C", nil, true)
	},
	"bcrypt, salt before": func() (string, error) {
		return BcryptHash("$2b$04$abcdefghijklmnopqrstuuTCRGdRKtSjgWUh7JfKv2bWJScpD7h7G", []byte("pepper"), true)
	},
	"bcrypt, salt behind": func() (string, error) {
		return BcryptHash("$2b$04$abcdefghijklmnopqrstuuxbxM5m7du30WDyReCOQIct/R5YaWjFu", []byte("pepper"), false)
	},
	"bcrypt in LDAP":                 asItIs("{CRYPT}$2b$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C"),
	"WordPress 6.8":                  asItIs("$wp$2y$04$abcdefghijklmnopqrstuu8oTejyhuewcR8Ocpw7lKR5lHrjGQS52"),
	"phpass":                         asItIs("$P$BIQRaTwmfcq/Gk8S9CcJnNH340hYEl1"),
	"phpass, phpBB":                  asItIs("$H$BIQRaTwmfcq/Gk8S9CcJnNH340hYEl1"),
	"md5-crypt":                      asItIs("$1$saltsalt$BjTayDheNQNmNtbW5Y9CM1"),
	"sha256-crypt":                   asItIs("$5$saltstring$7QgVQv.lperrFUdV.fijyJGQxpPhBoZA/lc4GNgPdy/"),
	"sha256-crypt with rounds":       asItIs("$5$rounds=1234$saltstringsaltst$pk1tLSxDilekfZUTQQ/Cf/jjIv4qH2n4heol0nd8Si3"),
	"sha512-crypt":                   asItIs("$6$saltstring$H.E2QNEzBNNr6XbkfNXSpMmfP86Banj6tZid2N0Y6EKjmABQdMWjQpLHFw0ngjHaa1KD8Secgc4gC2JEsFFSg."),
	"pbkdf2, PHC":                    asItIs("$pbkdf2-sha256$i=1000,l=64$c29tZXNhbHRzb21lc2FsdA$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwKHnVxjWS2y5/BK/ShWhaF2haVrTc5obkH/5IiHUQgyHQ"),
	"pbkdf2, PHC without parameters": asItIs("$pbkdf2-sha256$c29tZXNhbHRzb21lc2FsdA$295XwIFi4kxPIPlQbVe58WXjgPzyZVbFwisNGGTX5Cx4S4IURuM53J7uoI9PbJswfLEEGbkIMlVzk7g99KeAhw"),
	"pbkdf2, passlib, sha1":          asItIs("$pbkdf2$1000$c29tZXNhbHRzb21lc2FsdA$3XJlTvCHA0ovN8qyDYsh8/ydLgo"),
	"pbkdf2, passlib, sha512":        asItIs("$pbkdf2-sha512$1000$c29tZXNhbHRzb21lc2FsdA$zO49q9Ha8ealkD6yfmoENJ0ZHI4K/bkAjB9DH7qkiIAviRsDdegyqhGd0xynDbv/iJi5ViTgc0.KO87MySeowg"),
	"pbkdf2, Django":                 asItIs("pbkdf2_sha256$1000$textsalt$qPnAcPe7PqrHJvj5lb+l5dTo+pO2XPNnDTEqlaSWCCA="),
	"pbkdf2 of parts, long": func() (string, error) {
		return PBKDF2Hash("sha1", 1000, []byte("somesaltsomesalt"), from64("3XJlTvCHA0ovN8qyDYsh8/ydLgqiSr/yEdZiIGA3Du3fanmGtyy7rGu9Bbtm9zh2GQeDkwH3xcFc0rSHsC7s1w"))
	},
	"scrypt": asItIs("$scrypt$ln=10,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$cyeYJqaqKghtkUUMvmXOYa7yjhSfAWXXQRqE8BCDB2y4wc0zcTVph6u8lS/IhB4u6lK4+21BAtXoWinbrJkwDA"),
	"scrypt of parts": func() (string, error) {
		return ScryptHash(1024, 8, 1, []byte("somesaltsomesalt"), from64("cyeYJqaqKghtkUUMvmXOYa7yjhSfAWXXQRqE8BCDB2y4wc0zcTVph6u8lS/IhB4u6lK4+21BAtXoWinbrJkwDA"))
	},
	"md4":                 digest(Digest{Algorithm: "md4", Sum: fromHex("e28d371c374f405e0b467e39db994859")}),
	"md5":                 digest(Digest{Algorithm: "md5", Sum: fromHex("e227a0a1034f42651446cb4f69aaf8a9")}),
	"md5 of UTF-16":       digest(Digest{Algorithm: "md5", UTF16: true, Sum: fromHex("52861b7c97b5cba376ece809ef5d83c2")}),
	"md5, salt before":    digest(Digest{Algorithm: "md5", Salt: []byte("salt"), SaltFirst: true, Sum: fromHex("655107ac7634617b2cce6a351183dc4d")}),
	"sha1, salt behind":   digest(Digest{Algorithm: "sha1", Salt: []byte("salt"), Sum: fromHex("48072683288980409238ed4ade2074c1f127a2eb")}),
	"sha224":              digest(Digest{Algorithm: "sha224", Sum: fromHex("a4881697fd306c8b37331f917932c8cb09764b1765f4a20a0f13e124")}),
	"sha256, salt first":  digest(Digest{Algorithm: "sha256", Salt: []byte("salt"), SaltFirst: true, Sum: fromHex("d9e435f58a61c3d34e1770b6d850f19c9a55539567c59814108722d73f935bfa")}),
	"sha384, salt behind": digest(Digest{Algorithm: "sha384", Salt: []byte("salt"), Sum: fromHex("a121c570a773d6b6ae15666a4d6a4f309484afef882dd21fb3867e6aa782ff8a31a621c703dd82b0328570cdbc2de91f")}),
	"sha512":              digest(Digest{Algorithm: "sha512", Sum: fromHex("971b0f73d2e2a0125b020ff0d0ced2547d5145ba6f55afda448183cf02e780615acceac28c6bba8d06a72a0217f83e6b55a43e30db1f83df817cab6a074a2f45")}),
	"hmac-md5":            digest(Digest{Algorithm: "md5", HMACKey: []byte("key"), Sum: fromHex("731445fca33616dde01df7216e84fcd8")}),
	"hmac-sha256":         digest(Digest{Algorithm: "sha256", HMACKey: []byte("key"), Sum: fromHex("dc96b545abab4325e7dc85c83ba1cc98d1536356cb4f88fb81d3bb12b59ded81")}),
	"LDAP {MD5}":          asItIs("{MD5}4iegoQNPQmUURstPaar4qQ=="),
	"LDAP {SMD5}":         asItIs("{SMD5}bJ7uMticSbEaqN1I/nSkOHNhbHRzYWx0"),
	"LDAP {SHA}":          asItIs("{SHA}vLaWIaWYrWQkPYdHKhnCsuaWej8="),
	"LDAP {SSHA}":         asItIs("{ssha}u5eDf8H2VgYAd2DjEQ0gFHITsCpzYWx0c2FsdA=="),
	"LDAP {SHA256}":       asItIs("{SHA256}TkWVEE8Tdw6aPV4dHDdonqDF52uBxEklxnn1ejwibmI="),
	"LDAP {SSHA256}":      asItIs("{SSHA256}AxmycP+U3QjUHPTF19zaRnAleoimQEoZ3FY8cmCWuxtzYWx0c2FsdA=="),
	"LDAP {SSHA384}":      asItIs("{SSHA384}ryuMhnpA0N/4fmCv8Z4IncE7Gq9Z6yZ2aYEadBupQdYhuV5DZNg29ghwRWwcShlwc2FsdHNhbHQ="),
	"LDAP {SSHA512}":      asItIs("{SSHA512}P+FDCe8LFcfdK+Jro29A0ZvBcsLu6YEjJl4HLxaOdISnhYKHYDtw5ZZWrLVdaeo/3g/PNZDnyYY1Nvj99TU0B3NhbHRzYWx0"),
}

func asItIs(text string) func() (string, error) {
	return func() (string, error) { return text, CheckHash(text) }
}

func digest(d Digest) func() (string, error) {
	return func() (string, error) { return DigestHash(d) }
}

func fromHex(text string) []byte {
	bytes, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return bytes
}

func from64(text string) []byte {
	bytes, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		panic(err)
	}
	return bytes
}

// firebase has the parameters that the documentation of Firebase's scrypt takes for an
// example (https://github.com/firebase/scrypt).
var firebase = FirebaseScrypt{
	SignerKey:     from64("jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="),
	SaltSeparator: from64("Bw=="), Rounds: 8, MemoryCost: 14,
}

// Passwords match hashes of other programs, and no others do. All of these hashes are to be
// replaced.
func TestImportedHashes(t *testing.T) {
	t.Parallel()
	type vector struct {
		name, password string
		hash           func() (string, error)
	}
	// These are the examples of specifications and vendors.
	vectors := []vector{
		{"of argon2i", "password", asItIs("$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA")},
		{"of argon2id in LDAP", "password", asItIs("{ARGON2}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")},
		{"of crypt_blowfish", "U*U", asItIs("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")},
		{"of phpass", "test12345", asItIs("$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0")},
		{"of RFC 6070", "password", func() (string, error) {
			return PBKDF2Hash("sha1", 4096, []byte("salt"), fromHex("4b007901b765489abead49d926f721d065a429c1"))
		}},
		{"of RFC 7914", "pleaseletmein", func() (string, error) {
			return ScryptHash(16384, 8, 1, []byte("SodiumChloride"), fromHex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"))
		}},
		{"of Firebase", "user1password", func() (string, error) {
			return FirebaseHash(firebase, from64("42xEC+ixf3L2lw=="), from64("lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="))
		}},
		{"of NTLM", "password", digest(Digest{Algorithm: "md4", UTF16: true, Sum: fromHex("8846f7eaee8fb117ad06bdd830b7586c")})},
	}
	for name, hash := range hashSamples {
		vectors = append(vectors, vector{name, sample, hash})
	}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			hash, err := v.hash()
			if err != nil || CheckHash(hash) != nil || len(hash) > maxHashLength {
				t.Fatalf("%q: %v, %v", hash, err, CheckHash(hash))
			}
			parsed, err := parseHash(hash)
			if err != nil || !parsed.outdated(newArgon2id(argonMemory)) {
				t.Fatalf("it is not outdated, %v", err)
			}
			for password, want := range map[string]bool{v.password: true, v.password + " ": false, " " + v.password: false, strings.ToUpper(v.password) + "a": false, "": false} {
				if got := parsed.matches(password); got != want {
					t.Errorf("%q: matches %t", password, got)
				}
			}
		})
	}
}

// Nothing in a stored hash of Firebase's shows the key that a whole project has.
func TestSignerKeyIsNotStored(t *testing.T) {
	t.Parallel()
	hash, err := FirebaseHash(firebase, []byte("salt"), make([]byte, len(firebase.SignerKey)-1))
	if !errors.Is(err, ErrMalformedHash) {
		t.Errorf("%s, %v", hash, err)
	}
	hash, err = FirebaseHash(firebase, []byte("salt"), from64("lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="))
	if err != nil || strings.Contains(hash, b64.EncodeToString(firebase.SignerKey)[:40]) {
		t.Errorf("%s, %v", hash, err)
	}
}

// The hashes of other programs are of what was typed, and ours are of its NFC.
func TestFormsOfPasswords(t *testing.T) {
	t.Parallel()
	p := NewPasswords(2, 64)
	const composed, decomposed = "schöner langer tag", "scho\u0308ner langer tag"
	// crypt(3) of the decomposed one.
	const theirs = "$2b$04$abcdefghijklmnopqrstuuPS0oXunFjbhANf9Fl7.dJxidA/3a4l6"
	strong := newArgon2id(argonMemory)
	strong.derive(decomposed)
	// bcrypt of 80 digits, by crypt(3), which sees the first 72.
	const long = "$2b$04$abcdefghijklmnopqrstuum2G75IXDN/xsgbNa/hCiPSKyIHQd70S"
	digits := strings.Repeat("0123456789", 8)
	for _, c := range []struct {
		name, hash, password string
		matches, outdated    bool
	}{
		{"theirs, as it was typed", theirs, decomposed, true, true},
		{"theirs, in another form", theirs, composed, false, true},
		{"one like ours, as it was typed", strong.String(), decomposed, true, true},
		{"one like ours, in another form", strong.String(), composed, false, false},
		{"long, to bcrypt", long, digits, true, true},
		{"long, with another end, to bcrypt", long, digits[:72] + "another", true, true},
		{"long, with another middle, to bcrypt", long, digits[:71] + "another", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			matches, outdated, err := p.Verify(t.Context(), c.hash, secret.New(c.password))
			if err != nil || matches != c.matches || outdated != c.outdated {
				t.Errorf("matches %t, outdated %t, %v", matches, outdated, err)
			}
		})
	}
}

// badHashes are texts that are not hashes, or not such as are computed, and why.
var badHashes = map[string]struct {
	text string
	want error
}{
	"empty":                        {"", ErrUnsupportedHash},
	"a password":                   {"tall trees in winter", ErrMalformedHash},
	"plain md5":                    {"e227a0a1034f42651446cb4f69aaf8a9", ErrUnsupportedHash},
	"DES crypt":                    {"rl.3StKT.4T8M", ErrUnsupportedHash},
	"yescrypt":                     {"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", ErrUnsupportedHash},
	"argon2d":                      {"$argon2d$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", ErrUnsupportedHash},
	"argon2 of an old version":     {"$argon2i$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", ErrUnsupportedHash},
	"argon2 of the oldest version": {"$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", ErrUnsupportedHash},
	"argon2 with much memory":      {"$argon2i$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", ErrExpensiveHash},
	"argon2 with 99 digits":        {"$argon2i$v=19$m=" + strings.Repeat("9", 99) + ",t=1,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", ErrExpensiveHash},
	"bcrypt $2x$":                  {"$2x$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C", ErrUnsupportedHash},
	"bcrypt of cost 15":            {"$2b$15$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C", ErrExpensiveHash},
	"bcrypt of cost 3":             {"$2b$03$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C", ErrMalformedHash},
	"bcrypt of cost 99":            {"$2b$99$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C", ErrMalformedHash},
	"bcrypt, cut":                  {"$2b$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.", ErrMalformedHash},
	"bcrypt, a bit too many":       {"$2b$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.D", ErrMalformedHash},
	"bcrypt, salt somewhere":       {"$bcrypt-salted$middle$cGVwcGVy$2b$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C", ErrMalformedHash},
	"bcrypt, salt of no text":      {"$bcrypt-salted$prefix$c*$2b$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C", ErrMalformedHash},
	"bcrypt, salt alone":           {"$bcrypt-salted$prefix", ErrMalformedHash},
	"WordPress of cost 15":         {"$wp$2y$15$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C", ErrExpensiveHash},
	"WordPress of nothing":         {"$wp$", ErrMalformedHash},
	"phpass of 2^21":               {"$P$JIQRaTwmfcq/Gk8S9CcJnNH340hYEl1", ErrExpensiveHash},
	"phpass of 2^6":                {"$P$4IQRaTwmfcq/Gk8S9CcJnNH340hYEl1", ErrMalformedHash},
	"phpass, cut":                  {"$P$BIQRaTwmfcq/Gk8S9CcJnNH340hYEl", ErrMalformedHash},
	"sha-crypt of many rounds":     {"$5$rounds=1000001$saltstringsaltst$pk1tLSxDilekfZUTQQ/Cf/jjIv4qH2n4heol0nd8Si3", ErrExpensiveHash},
	"sha-crypt of few rounds":      {"$5$rounds=999$saltstringsaltst$pk1tLSxDilekfZUTQQ/Cf/jjIv4qH2n4heol0nd8Si3", ErrMalformedHash},
	"sha-crypt of -1 rounds":       {"$5$rounds=-1$saltstringsaltst$pk1tLSxDilekfZUTQQ/Cf/jjIv4qH2n4heol0nd8Si3", ErrMalformedHash},
	"sha-crypt with a long salt":   {"$5$saltstringsaltsts$pk1tLSxDilekfZUTQQ/Cf/jjIv4qH2n4heol0nd8Si3", ErrMalformedHash},
	"md5-crypt with rounds":        {"$1$rounds=1000$BjTayDheNQNmNtbW5Y9CM1", ErrMalformedHash},
	"pbkdf2 of many iterations":    {"$pbkdf2-sha256$i=2000001,l=32$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrExpensiveHash},
	"pbkdf2 of none":               {"$pbkdf2-sha256$i=0,l=32$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrMalformedHash},
	"pbkdf2 of another length":     {"$pbkdf2-sha256$i=1000,l=31$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrMalformedHash},
	"pbkdf2 with a short key":      {"$pbkdf2-sha256$1000$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H2", ErrMalformedHash},
	"pbkdf2 by md5":                {"$pbkdf2-md5$1000$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrUnsupportedHash},
	"Django by md5":                {"pbkdf2_md5$1000$textsalt$qPnAcPe7PqrHJvj5lb+l5dTo+pO2XPNnDTEqlaSWCCA=", ErrUnsupportedHash},
	"Django, cut":                  {"pbkdf2_sha256$1000$textsalt", ErrMalformedHash},
	"scrypt with much memory":      {"$scrypt$ln=19,r=8,p=1$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrExpensiveHash},
	"scrypt with much work":        {"$scrypt$ln=17,r=8,p=3$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrExpensiveHash},
	"scrypt with large blocks":     {"$scrypt$ln=1,r=2147483647,p=1$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrExpensiveHash},
	"scrypt of cost 2^2147483647":  {"$scrypt$ln=2147483647,r=1,p=1$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrExpensiveHash},
	"scrypt of cost 1":             {"$scrypt$ln=0,r=8,p=1$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrMalformedHash},
	"Firebase with much memory":    {"$firebase-scrypt$ln=19,r=8,p=1$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI", ErrExpensiveHash},
	"digest of another size":       {"$digest$a=sha256$$4iegoQNPQmUURstPaar4qQ", ErrMalformedHash},
	"digest of another kind":       {"$digest$a=whirlpool$$4iegoQNPQmUURstPaar4qQ", ErrUnsupportedHash},
	"digest with other parameters": {"$digest$a=md5,x=1$$4iegoQNPQmUURstPaar4qQ", ErrMalformedHash},
	"digest with an empty key":     {"$digest$a=md5,k=$$4iegoQNPQmUURstPaar4qQ", ErrMalformedHash},
	"LDAP of another size":         {"{SHA}4iegoQNPQmUURstPaar4qQ==", ErrMalformedHash},
	"LDAP with a salt too many":    {"{SHA}u5eDf8H2VgYAd2DjEQ0gFHITsCpzYWx0c2FsdA==", ErrMalformedHash},
	"LDAP with a huge salt":        {"{SSHA}" + strings.Repeat("u5eD", 200), ErrMalformedHash},
	"LDAP of another kind":         {"{KERBEROS}ada@EXAMPLE.COM", ErrUnsupportedHash},
	"LDAP in LDAP":                 {strings.Repeat("{CRYPT}", 20) + "$1$saltsalt$BjTayDheNQNmNtbW5Y9CM1", ErrUnsupportedHash},
	"a line break":                 {"$1$saltsalt$BjTayDheNQNmNtbW5Y9CM1\n", ErrMalformedHash},
	"very long":                    {"$1$" + strings.Repeat("a", 1<<20), ErrMalformedHash},
}

func TestCheckHash(t *testing.T) {
	t.Parallel()
	for name, text := range costliest {
		if err := CheckHash(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range badHashes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := CheckHash(c.text); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		make func() (string, error)
		want error
	}{
		"digest of another kind":   {digest(Digest{Algorithm: "whirlpool", Sum: make([]byte, 64)}), ErrUnsupportedHash},
		"digest without a sum":     {digest(Digest{Algorithm: "md5"}), ErrMalformedHash},
		"digest with a long salt":  {digest(Digest{Algorithm: "md5", Sum: make([]byte, 16), Salt: make([]byte, maxPartSize+1)}), ErrMalformedHash},
		"digest with an empty key": {digest(Digest{Algorithm: "md5", Sum: make([]byte, 16), HMACKey: []byte{}}), ErrMalformedHash},
		"bcrypt with a long salt": {func() (string, error) {
			return BcryptHash("$2b$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C", make([]byte, maxPartSize+1), true)
		}, ErrMalformedHash},
		"scrypt of an odd cost":     {func() (string, error) { return ScryptHash(1000, 8, 1, nil, make([]byte, 64)) }, ErrMalformedHash},
		"scrypt of a huge cost":     {func() (string, error) { return ScryptHash(1<<40, 8, 1, nil, make([]byte, 64)) }, ErrExpensiveHash},
		"scrypt with a long key":    {func() (string, error) { return ScryptHash(1024, 8, 1, nil, make([]byte, maxKeySize+1)) }, ErrMalformedHash},
		"pbkdf2 of many iterations": {func() (string, error) { return PBKDF2Hash("sha1", maxPBKDF2Iterations+1, nil, make([]byte, 20)) }, ErrExpensiveHash},
		"pbkdf2 by md5":             {func() (string, error) { return PBKDF2Hash("md5", 1000, nil, make([]byte, 20)) }, ErrUnsupportedHash},
		"Firebase of a huge cost": {func() (string, error) {
			return FirebaseHash(FirebaseScrypt{SignerKey: make([]byte, 64), Rounds: 8, MemoryCost: 30}, nil, make([]byte, 64))
		}, ErrExpensiveHash},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if hash, err := c.make(); !errors.Is(err, c.want) {
				t.Errorf("%s, %v, want %v", hash, err, c.want)
			}
		})
	}
}

// costliest are the hashes of each kind that take the longest of those that are accepted:
// see BenchmarkCostliest.
var costliest = map[string]string{
	"argon2id":         "$argon2id$v=19$m=262144,t=4,p=1$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"argon2i, passes":  "$argon2i$v=19$m=8,t=131072,p=1$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"bcrypt":           "$2b$14$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C",
	"phpass":           "$P$IIQRaTwmfcq/Gk8S9CcJnNH340hYEl1",
	"sha512-crypt":     "$6$rounds=1000000$saltstring$H.E2QNEzBNNr6XbkfNXSpMmfP86Banj6tZid2N0Y6EKjmABQdMWjQpLHFw0ngjHaa1KD8Secgc4gC2JEsFFSg.",
	"pbkdf2":           "$pbkdf2-sha512$2000000$c29tZXNhbHRzb21lc2FsdA$zO49q9Ha8ealkD6yfmoENJ0ZHI4K/bkAjB9DH7qkiIAviRsDdegyqhGd0xynDbv/iJi5ViTgc0.KO87MySeowg",
	"scrypt":           "$scrypt$ln=18,r=8,p=1$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI",
	"scrypt, parallel": "$scrypt$ln=1,r=1,p=1048576$c29tZXNhbHQ$INXMzsFqK7RT6/+9y3H25RUElHOj+PFQFG3W+z06hwI",
	"digest":           "$digest$a=sha512$$lxsPc9LioBJbAg/w0M7SVH1RRbpvVa/aRIGDzwLngGFazOrCjGu6jQanKgIX+D5rVaQ+MNsfg9+BfKtqB0ovRQ",
}

// FuzzParseHash looks for texts that make parseHash panic, or that it accepts although they
// cost more than is allowed, and for hashes that are parsed differently once they are
// written.
func FuzzParseHash(f *testing.F) {
	for _, make := range hashSamples {
		if text, err := make(); err == nil {
			f.Add(text)
		}
	}
	for _, c := range badHashes {
		f.Add(c.text)
	}
	for _, text := range costliest {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		hash, err := parseHash(text)
		if (err == nil) == (hash == nil) {
			t.Fatalf("%v, %v", hash, err)
		}
		if err != nil {
			if !errors.Is(err, ErrUnsupportedHash) && !errors.Is(err, ErrMalformedHash) && !errors.Is(err, ErrExpensiveHash) {
				t.Fatal(err)
			}
			return
		}
		if err := checkCost(hash); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if written, ok := hash.(fmt.Stringer); ok {
			if again, err := parseHash(written.String()); err != nil || !reflect.DeepEqual(again, hash) {
				t.Errorf("%q is written as %s, which is %v, %v", text, written, again, err)
			}
		}
		if digest, ok := hash.(digestHash); ok {
			digest.matches(sample)
		}
	})
}

// checkCost returns an error for a hash that may take longer than costliest.
func checkCost(hash hasher) error {
	within := true
	switch h := hash.(type) {
	case argon2Hash:
		within = h.memory <= maxArgonMemory && uint64(h.memory)*uint64(h.time) <= maxArgonWork && h.threads <= maxArgonThreads
	case bcryptHash:
		cost, err := bcrypt.Cost([]byte(h.text))
		within = err == nil && cost <= maxBcryptCost
	case scryptHash:
		within = uint64(128)<<h.cost.ln*uint64(h.cost.r)*uint64(h.cost.p) <= maxScryptWork
	case firebaseHash:
		within = uint64(128)<<h.cost.ln*uint64(h.cost.r)*uint64(h.cost.p) <= maxScryptWork
	case pbkdf2Hash:
		within = h.iterations <= maxPBKDF2Iterations && len(h.key) <= h.digest().Size()
	case *cryptHash:
		within = h.rounds <= maxCryptRounds
	case *phpassHash:
		within = h.rounds <= 1<<maxPHPassLog
	case digestHash:
	default:
		return fmt.Errorf("%T is no kind of hash", hash)
	}
	if !within {
		return fmt.Errorf("%+v takes too much", hash)
	}
	return nil
}

// The hash that takes the longest of those that are accepted is to take less than 60 of ours,
// with any password: on one core, 3 seconds.
func BenchmarkCostliest(b *testing.B) {
	ours := newArgon2id(argonMemory)
	for name, text := range costliest {
		for _, length := range []int{len(sample), maxHashedBytes / maxCryptRounds, 4 * maxPassword, maxPasswordBytes} {
			b.Run(fmt.Sprintf("%s, %d bytes", name, length), func(b *testing.B) {
				hash, err := parseHash(text)
				if err != nil {
					b.Fatal(err)
				}
				password := strings.Repeat("x", length)
				var unit, took time.Duration
				for b.Loop() {
					began := time.Now()
					ours.matches(password)
					unit += time.Since(began)
					began = time.Now()
					hash.matches(password)
					took += time.Since(began)
				}
				b.ReportMetric(float64(took)/float64(unit), "ours")
			})
		}
	}
}
