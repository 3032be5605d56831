package format

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // files have it
	"crypto/sha1" //nolint:gosec // files have it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/scrypt"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"roster/credential"
	"roster/secret"
)

// What the caller says of a file counts, and what does not fit is refused in words that help.
func TestOptions(t *testing.T) {
	t.Parallel()
	const people = "E-Post,email,Stadt\nann@example.com,x,Berlin\n"
	for _, c := range []struct {
		name, file string
		options    Options
		format     Format
		// want is in the error, or else it is the email of the first record.
		want string
	}{
		{"a column", people, Options{Columns: map[string]string{"email": " e-post"}}, CSV, "ann@example.com"},
		{"its own name", people, Options{}, CSV, "x"},
		{"an unknown field", people, Options{Columns: map[string]string{"shoes": "Stadt"}}, "", `no "shoes". What a file can have: alt_id, app_metadata,`},
		{"a field of no use", people, Options{Columns: map[string]string{"created_at": "Stadt"}}, "", `no "created_at"`},
		{"a column that is not there", people, Options{Columns: map[string]string{"email": "Mail"}}, "", `no column "Mail", which is said to be email. It has "E-Post", "email", "Stadt"`},
		{"a name in JSON", `{"mail_addr":"ann@example.com","email":"x"}`, Options{Columns: map[string]string{"email": "mail_addr"}}, KindeNDJSON, "ann@example.com"},
		{"names of its own in JSON", `{"mail_addr":"ann@example.com"}`, Options{Columns: map[string]string{"email": "mail_addr"}}, KindeNDJSON, "ann@example.com"},
		{"names of its own in an array", `[{"user_metadata":{},"mail_addr":"ann@example.com"}]`, Options{Columns: map[string]string{"email": "mail_addr"}}, Auth0BulkJSON, "ann@example.com"},
		{"a format", `{"email":"ann@example.com"}`, Options{Format: FirebaseNDJSON}, FirebaseNDJSON, "ann@example.com"},
		{"detected", `{"email":"ann@example.com"}`, Options{Format: Auto}, KindeNDJSON, "ann@example.com"},
		{"JSON for CSV", `{"email":"ann@example.com"}`, Options{Format: CSV}, "", "This is JSON, not CSV"},
		{"CSV for JSON", people, Options{Format: Auth0BulkJSON}, "", "This is not JSON, as files of the format AUTH0_BULK_JSON are"},
		{"organizations as people", "name,id\nann lee,1\n", Options{Format: CSV}, CSV, ""},
		{"no people", `[{"title":"x"}]`, Options{}, "", "not of people"},
		{"no header", "ann@example.com,Ann\nben@example.com,Ben\n", Options{}, "", `The file has "ann@example.com", "Ann". Say which is which`},
		{"nothing", "", Options{}, "", "empty"},
		{"a mark alone", "\ufeff", Options{}, "", "empty"},
		{"UTF-32", "\xff\xfe\x00\x00e\x00\x00\x00", Options{}, "", "UTF-32"},
		{"bzip2", "BZh91AY", Options{}, "", "packed by bzip2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := read(t, []byte(c.file), c.options)
			if got.Format != c.format {
				t.Errorf("the format is %q, not %q", got.Format, c.format)
			}
			switch {
			case c.format == "":
				if !strings.Contains(got.Error, c.want) {
					t.Errorf("%q does not say %q", got.Error, c.want)
				}
			case len(got.Records) != 1 || got.Records[0].Email != c.want || len(got.Records[0].Errors) > 0:
				t.Errorf("%+v", got)
			}
		})
	}
}

// Column says how the file calls a field.
func TestColumn(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"CSV": "E-Mail,First Name\na@example.com,Ann\n", "JSON": `{"E-Mail":"a@example.com","First Name":"Ann"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Open(strings.NewReader(file), int64(len(file)), Options{})
			if err == nil {
				_, err = r.Next()
			}
			if err != nil || r.Column("email") != "E-Mail" || r.Column("first_name") != "First Name" || r.Column("phone") != "phone" {
				t.Error(err, r.columns)
			}
		})
	}
}

// A text that is ASCII for long goes on in the encoding of its first other letters.
func TestEncodings(t *testing.T) {
	t.Parallel()
	utf16 := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	for length := range 8 {
		text := "email,first_name\n" + strings.Repeat("ann@example.com,Ann\n", 10_000) + "zoe@example.com,Z" + strings.Repeat("o", length) + strings.Repeat("ë", sample) + "\njoerg@example.com,Jörg\n"
		latin, err := charmap.Windows1252.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		wide, err := utf16.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		for want, file := range map[string]string{"UTF-8": text, "UTF-8 with BOM": "\ufeff" + text, "Windows-1252": latin, "UTF-16LE": wide} {
			t.Run(fmt.Sprint(want, length), func(t *testing.T) {
				t.Parallel()
				got := read(t, []byte(file), Options{})
				if n := len(got.Records); got.Encoding != want || n != 10_002 || got.Records[n-1].GivenName != "Jörg" ||
					got.Records[n-2].GivenName != "Z"+strings.Repeat("o", length)+strings.Repeat("ë", sample) {
					t.Errorf("%d records in %s, %s", n, got.Encoding, got.Error)
				}
			})
		}
	}
}

// Large files are read beyond the first window, each row at its line.
func TestLargeFiles(t *testing.T) {
	t.Parallel()
	const people = 5_000
	person := func(i int) string {
		return fmt.Sprintf(`{"user_id":"%d","email":"p%d@example.com","app_metadata":{"a":[{},"]}"]}}`, i, i)
	}
	var objects []string
	for i := range people {
		objects = append(objects, person(i))
	}
	for _, c := range []struct {
		name, file string
		// first is the line of the first record, and each how many lines a record has.
		first, each int
	}{
		{"lines", strings.Join(objects, "\r\n"), 1, 1},
		{"an array", "[\r\n" + strings.Join(objects, ",\r\n") + "]", 2, 1},
		{"one behind", "[" + strings.Join(objects, "\n,") + "]", 1, 1},
		{"of Mac", "[\r" + strings.Join(objects, ",\r") + "\r]", 2, 1},
		{"spread", "[" + strings.ReplaceAll(strings.Join(objects, ","), `,"`, ",\n  \"") + "\n]", 1, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := read(t, []byte(c.file), Options{})
			if len(got.Records) != people || got.Error != "" {
				t.Fatalf("%d records, %s", len(got.Records), got.Error)
			}
			for i, record := range got.Records {
				if want := c.first + c.each*i; record.Line != want || record.ExternalID != fmt.Sprint(i) {
					t.Fatalf("of line %d, it read %+v", want, record)
				}
			}
		})
	}
}

// The hash of a password is taken over so that the password still matches, whatever the
// vendor calls the parts.
func TestPasswordsMatch(t *testing.T) {
	t.Parallel()
	const word = "correct horse"
	const salt = "NaCl+pepper"
	sum := func(text string) string { s := sha256.Sum256([]byte(text)); return hex.EncodeToString(s[:]) }
	b64 := base64.StdEncoding.EncodeToString
	mac := hmac.New(sha512.New, []byte("key"))
	mac.Write([]byte(word + salt))
	derived, err := scrypt.Key([]byte(word), []byte(salt), 1024, 8, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	md, sha := md5.Sum([]byte(salt+word)), sha1.Sum([]byte(word+salt)) //nolint:gosec // files have them
	custom := func(text string) string {
		return `[{"user_id":"1","custom_password_hash":` + text + `}]`
	}
	for name, file := range map[string]string{
		"Kinde, plain":           "id,hashed_password,hashing_method\n1," + sum(word) + ",sha256\n",
		"Kinde, prefix":          "id,hashed_password,hashing_method,salt,salt_position,salt_format\n1," + sum(salt+word) + ",sha256," + salt + ",prefix,string\n",
		"Kinde, suffix":          "id,hashed_password,hashing_method,salt,salt_position,salt_format\n1," + sum(word+salt) + ",SHA256," + salt + ",Suffix,\n",
		"Kinde, hex":             "id,hashed_password,hashing_method,salt,salt_position,salt_format\n1," + sum(salt+word) + ",sha256," + hex.EncodeToString([]byte(salt)) + ",prefix,hex\n",
		"Kinde, NDJSON":          `{"id":"1","password":{"salt":"` + salt + `","salt_format":"string","salt_position":"suffix","hashed_password":"` + sum(word+salt) + `","hashing_algorithm":"sha256"}}`,
		"Auth0, md5":             custom(`{"algorithm":"md5","hash":{"value":"` + hex.EncodeToString(md[:]) + `","encoding":"hex"},"salt":{"value":"` + salt + `","position":"prefix"}}`),
		"Auth0, sha1":            custom(`{"algorithm":"sha1","hash":{"value":"` + b64(sha[:]) + `","encoding":"base64"},"salt":{"value":"` + b64([]byte(salt)) + `","encoding":"base64","position":"suffix"}}`),
		"Auth0, hmac":            custom(`{"algorithm":"hmac","hash":{"value":"` + hex.EncodeToString(mac.Sum(nil)) + `","encoding":"hex","digest":"sha512","key":{"value":"` + hex.EncodeToString([]byte("key")) + `","encoding":"hex"}},"salt":{"value":"` + salt + `","position":"suffix"}}`),
		"Auth0, scrypt":          custom(`{"algorithm":"scrypt","hash":{"value":"` + b64(derived) + `","encoding":"base64"},"salt":{"value":"` + salt + `"},"keylen":32,"cost":1024}`),
		"Auth0, ldap":            custom(`{"algorithm":"ldap","hash":{"value":"{SSHA}` + b64(slices.Concat(sha[:], []byte(salt))) + `"}}`),
		"Auth0, UTF-16":          custom(`{"algorithm":"sha256","hash":{"value":"` + sum("c\x00o\x00r\x00r\x00e\x00c\x00t\x00 \x00h\x00o\x00r\x00s\x00e\x00") + `","encoding":"hex"},"password":{"encoding":"utf16le"}}`),
		"our own, whatever made": "roster_id,hashed_password\nuser_1,{SSHA}" + b64(slices.Concat(sha[:], []byte(salt))) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := read(t, []byte(file), Options{})
			if len(got.Records) != 1 || got.Error != "" {
				t.Fatalf("%+v", got)
			}
			passwords := credential.QuickPasswords(1, 1)
			matches, _, err := passwords.Verify(t.Context(), got.Records[0].PasswordHash, secret.New(word))
			other, _, otherErr := passwords.Verify(t.Context(), got.Records[0].PasswordHash, secret.New(word+"s"))
			if err != nil || otherErr != nil || !matches || other {
				t.Errorf("%t, %t, %v: %+v", matches, other, err, got.Records)
			}
		})
	}
}

// Hashes that can't be taken over cost the password alone.
func TestPasswordsLeftBehind(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"plain text":          "id,password\n1,secret\n",
		"an unknown method":   "id,hashed_password,hashing_method\n1,abc,rot13\n",
		"no hex":              "id,hashed_password,hashing_method\n1,xyz,sha256\n",
		"too expensive":       `[{"user_id":"1","custom_password_hash":{"algorithm":"scrypt","hash":{"value":"AAAAAAAAAAAAAAAAAAAAAA==","encoding":"base64"},"cost":1073741824}}]`,
		"another size":        `[{"user_id":"1","custom_password_hash":{"algorithm":"scrypt","hash":{"value":"AAAAAAAAAAAAAAAAAAAAAA==","encoding":"base64"},"keylen":64}}]`,
		"an unknown encoding": `[{"user_id":"1","custom_password_hash":{"algorithm":"md5","hash":{"value":"x","encoding":"base32"}}}]`,
		"bcrypt of UTF-16":    `[{"user_id":"1","custom_password_hash":{"algorithm":"bcrypt","hash":{"value":"x"},"password":{"encoding":"utf16le"}}}]`,
		"other types":         `[{"user_id":"1","custom_password_hash":{"algorithm":5}}]`,
		"of Firebase":         `{"localId":"1","passwordHash":"AAAA","salt":"AAAA"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := read(t, []byte(file), Options{})
			if len(got.Records) != 1 || len(got.Records[0].Errors) > 0 || len(got.Records[0].Warnings) != 1 || got.Records[0].PasswordHash != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// After its end, and after an error, a reader stays where it is.
func TestReaderStaysAtItsEnd(t *testing.T) {
	t.Parallel()
	r, err := Open(bytes.NewReader([]byte("id\n1\n")), 5, Options{})
	for range 3 {
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}
