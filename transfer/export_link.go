package transfer

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"roster/secret"
)

// ExportsPath is the path below which links of exports lie.
const ExportsPath = "/exports/"

// exportPrefix begins the secret of every link.
const exportPrefix = "re_"

// exportName is what names an export to whoever asked for it: 256 random bits.
type exportName [32]byte

func newExportName() (n exportName) {
	rand.Read(n[:]) // never fails
	return n
}

// parseExportName parses the text form.
func parseExportName(shown secret.Text) (n exportName, ok bool) {
	text, ok := strings.CutPrefix(shown.Reveal(), exportPrefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(len(n)) {
		return n, false
	}
	bits, err := base64.RawURLEncoding.Strict().DecodeString(text)
	copy(n[:], bits)
	return n, err == nil
}

func (n exportName) text() string {
	return exportPrefix + base64.RawURLEncoding.EncodeToString(n[:])
}

// hash returns the hash by which the export is stored.
func (n exportName) hash() []byte {
	sum := sha256.Sum256(n[:])
	return sum[:]
}
