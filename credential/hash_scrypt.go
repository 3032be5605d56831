package credential

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/scrypt"
)

// scryptCost is what scrypt (RFC 7914) takes: N is 1<<ln, and its memory 128 N r bytes.
type scryptCost struct{ ln, r, p int }

// The most memory that scrypt may take, in bytes, and the most work: its memory times p.
const (
	maxScryptMemory = 256 << 20
	maxScryptWork   = 256 << 20
)

// check returns an error unless scrypt may be asked for so much.
func (c scryptCost) check() error {
	if c.ln < 1 || c.r < 1 || c.p < 1 {
		return ErrMalformedHash
	}
	const most = maxScryptMemory / 128
	if c.ln > bits.Len(most) || c.r > most>>c.ln || c.p > maxScryptWork/128/(c.r<<c.ln) {
		return ErrExpensiveHash
	}
	return nil
}

func (c scryptCost) String() string { return fmt.Sprintf("ln=%d,r=%d,p=%d", c.ln, c.r, c.p) }

func parseScryptCost(text string) (scryptCost, error) {
	n, err := parseNumbers(text, "ln", "r", "p")
	if err != nil {
		return scryptCost{}, err
	}
	cost := scryptCost{n[0], n[1], n[2]}
	return cost, cost.check()
}

// compute returns size bytes that scrypt derives from the password. The cost was checked.
func (c scryptCost) compute(password string, salt []byte, size int) []byte {
	key, err := scrypt.Key([]byte(password), salt, 1<<c.ln, c.r, c.p, size)
	if err != nil {
		panic(err)
	}
	return key
}

type scryptHash struct {
	slow
	cost      scryptCost
	salt, key []byte
}

// ScryptHash returns the stored form of a hash of scrypt (RFC 7914). The cost is a power of
// two.
func ScryptHash(cost, blockSize, parallelization int, salt, key []byte) (string, error) {
	if cost < 2 || cost&(cost-1) != 0 {
		return "", ErrMalformedHash
	}
	c := scryptCost{bits.TrailingZeros(uint(cost)), blockSize, parallelization}
	stored := "$scrypt$" + c.String() + "$" + b64.EncodeToString(salt) + "$" + b64.EncodeToString(key)
	return stored, CheckHash(stored)
}

func parseScrypt(parts []string) (hasher, error) {
	cost, salt, key, err := parseScryptParts(parts)
	if err != nil {
		return nil, err
	}
	return scryptHash{cost: cost, salt: salt, key: key}, nil
}

func parseScryptParts(parts []string) (cost scryptCost, salt, key []byte, err error) {
	if len(parts) != 3 {
		return cost, nil, nil, ErrMalformedHash
	}
	if cost, err = parseScryptCost(parts[0]); err != nil {
		return cost, nil, nil, err
	}
	salt, key, err = decodeSaltAndKey(parts[1], parts[2])
	return cost, salt, key, err
}

func (h scryptHash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.cost.compute(password, h.salt, len(h.key)), h.key) == 1
}

// FirebaseScrypt has the parameters of the password hashes of a project of Firebase: base64
// decoded, as its console shows them.
type FirebaseScrypt struct {
	SignerKey, SaltSeparator []byte
	Rounds, MemoryCost       int
}

// firebaseHash is a hash of Firebase's scrypt (https://github.com/firebase/scrypt): the signer
// key of the project, encrypted by AES-CTR with what scrypt derives from the password. All
// the same, stream is what the cipher XORs to the signer key, so that the key itself is
// stored nowhere.
type firebaseHash struct {
	slow
	cost         scryptCost
	salt, stream []byte
}

// FirebaseHash returns the stored form of a hash of Firebase, whose rows have the salt and the
// hash in base64. The signer key cannot be read from it.
func FirebaseHash(p FirebaseScrypt, salt, hash []byte) (string, error) {
	cost := scryptCost{p.MemoryCost, p.Rounds, 1}
	if len(hash) != len(p.SignerKey) {
		return "", ErrMalformedHash
	}
	stream := make([]byte, len(hash))
	subtle.XORBytes(stream, hash, p.SignerKey)
	salted := append(append([]byte{}, salt...), p.SaltSeparator...)
	stored := "$firebase-scrypt$" + cost.String() + "$" + b64.EncodeToString(salted) + "$" + b64.EncodeToString(stream)
	return stored, CheckHash(stored)
}

func parseFirebase(parts []string) (hasher, error) {
	cost, salt, stream, err := parseScryptParts(parts)
	if err != nil {
		return nil, err
	}
	return firebaseHash{cost: cost, salt: salt, stream: stream}, nil
}

func (h firebaseHash) matches(password string) bool {
	block, err := aes.NewCipher(h.cost.compute(password, h.salt, 32)) // AES-256
	if err != nil {
		panic(err)
	}
	stream := make([]byte, len(h.stream))
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(stream, stream)
	return subtle.ConstantTimeCompare(stream, h.stream) == 1
}
