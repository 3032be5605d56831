package credential

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"time"

	"roster/db"
	"roster/secret"
)

// What applications show: their secret, an authorization code, and a refresh token.
const (
	applicationPrefix = "ra_"
	codePrefix        = "rc_"
	refreshPrefix     = "rr_"
)

// NewApplicationSecret returns the secret of an application, and the hash that is stored in
// its place. It is "ra_" and 43 characters of base64url that hold 256 random bits.
func NewApplicationSecret() (shown secret.Text, hash []byte) {
	bits := make([]byte, 32)
	rand.Read(bits) // never fails
	shown = secret.New(applicationPrefix + base64.RawURLEncoding.EncodeToString(bits))
	return shown, Hash(shown)
}

// HasSecret reports whether the secret is the application's at that time: the present one,
// or the one before for as long as that works.
func HasSecret(a *db.Application, shown secret.Text, at time.Time) bool {
	if len(shown.Reveal()) > maxLength {
		return false
	}
	hash := Hash(shown)
	present := subtle.ConstantTimeCompare(hash, a.SecretHash) == 1
	former := subtle.ConstantTimeCompare(hash, a.FormerSecretHash) == 1 && a.FormerSecretEndsAt != nil && at.Before(*a.FormerSecretEndsAt)
	return present || former
}

// applicationName returns what the key of an application is looked up by. It is no hash of a
// secret, since none has this form.
func applicationName(id db.ApplicationID) name {
	return sha256.Sum256([]byte("application " + id.String()))
}

// ApplicationHash returns what stands in the place of a hash in the key of an application.
func ApplicationHash(id db.ApplicationID) []byte {
	name := applicationName(id)
	return name[:]
}

// FindApplication is Find for what a MACHINE may do, which has shown otherwise that it is
// the one.
func (k *Keys) FindApplication(ctx context.Context, id db.ApplicationID, epoch uint64, staleness time.Duration) (*Key, error) {
	return k.named(ctx, applicationName(id), epoch, staleness)
}

// CodeName names an authorization code.
type CodeName struct {
	User db.UserID
	Code db.AuthorizationCodeID
}

// NewCode returns a new authorization code, and the hash that is stored in its place.
func NewCode(of CodeName) (shown secret.Text, hash []byte) {
	return newPersonal(codePrefix, of.User, of.Code)
}

// ParseCode returns the name in an authorization code, and its hash.
func ParseCode(shown secret.Text) (of CodeName, hash []byte, ok bool) {
	user, id, hash, ok := parsePersonal(codePrefix, shown.Reveal())
	return CodeName{user, db.AuthorizationCodeID(id)}, hash, ok
}

// refreshPurpose is what refresh tokens are derived for.
const refreshPurpose = "refresh token"

// refreshName is the length of what a refresh token begins with: the ids of user and
// session, and the number of the token.
const refreshName = personalName + 4

// RefreshToken returns the refresh token of that number of a session. It is derived from
// the keyring and what is random in the session, and stored nowhere.
func RefreshToken(ring *secret.Keyring, of SessionName, generation int, random []byte) secret.Text {
	bits := refreshBits(of, generation)
	bits = append(bits, ring.Derive(refreshPurpose, append(bits, random...))...)
	return secret.New(refreshPrefix + base64.RawURLEncoding.EncodeToString(bits))
}

func refreshBits(of SessionName, generation int) []byte {
	bits := make([]byte, 0, refreshName+sha256.Size)
	bits = append(append(bits, of.User[:]...), of.Session[:]...)
	return binary.BigEndian.AppendUint32(bits, uint32(generation))
}

// ParseRefreshToken returns which session, and which of its tokens, the refresh token claims
// to be. Ask IsRefreshToken whether it is.
func ParseRefreshToken(shown secret.Text) (of SessionName, generation int, ok bool) {
	bits, ok := decode(refreshPrefix, shown.Reveal(), refreshName+sha256.Size)
	if !ok {
		return of, 0, false
	}
	of = SessionName{db.UserID(bits[:16]), db.SessionID(bits[16:personalName])}
	return of, int(binary.BigEndian.Uint32(bits[personalName:])), true
}

// IsRefreshToken reports whether RefreshToken has made the token for a session with that
// random part.
func IsRefreshToken(ring *secret.Keyring, shown secret.Text, random []byte) bool {
	bits, ok := decode(refreshPrefix, shown.Reveal(), refreshName+sha256.Size)
	return ok && ring.IsDerived(refreshPurpose, append(bits[:refreshName:refreshName], random...), bits[refreshName:])
}
