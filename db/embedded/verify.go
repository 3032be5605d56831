package embedded

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// content is the digest (treeDigest) of each platform's unpacked package.
var content = map[string]string{
	"linux-x64":    "Yi+LEX/52QQgzJaA9saxheYW+LsewgZVc5zgQ5NOBmY=",
	"linux-arm64":  "5XQLdKth3bqfoF59OpmVPLDYIO4N2VFiVXjsOLZIVS4=",
	"darwin-x64":   "1WFNxbyl8D5R+idaBBeDoz/00qXFbLPGlve3E1vZ0sY=",
	"darwin-arm64": "1WFNxbyl8D5R+idaBBeDoz/00qXFbLPGlve3E1vZ0sY=",
}

// verify requires that the file has a SHA-512, as npm writes it.
func verify(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("the downloaded %s is not the pinned one: its SHA-512 is %s, not %s", filepath.Base(path), got, want)
	}
	return nil
}

// verifyTree requires that the folder holds the pinned binaries, unchanged and
// nothing else. Programs in it run as whoever starts the server.
func verifyTree(dir, want string) error {
	got, err := treeDigest(dir)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the PostgreSQL in %s is not the pinned one any more: remove this folder, and it is downloaded again", dir)
	}
	return nil
}

// treeDigest returns a SHA-256 of the names, kinds and contents of all that is in a
// folder.
func treeDigest(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	all := sha256.New()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		sum, kind, err := fileDigest(root, name, entry)
		fmt.Fprintf(all, "%q %s %x\n", name, kind, sum)
		return err
	})
	return base64.StdEncoding.EncodeToString(all.Sum(nil)), err
}

// fileDigest returns the SHA-256 of a file's content, or of a link's target, and
// what kind of file it is.
func fileDigest(root *os.Root, name string, entry fs.DirEntry) (sum []byte, kind string, err error) {
	hash := sha256.New()
	if entry.Type()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(name)
		_, _ = io.WriteString(hash, target) // a hash takes everything
		return hash.Sum(nil), "link", err
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	kind = "file"
	if info.Mode()&0o111 != 0 {
		kind = "program"
	}
	_, err = io.Copy(hash, f)
	return hash.Sum(nil), kind, err
}
