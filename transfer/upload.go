package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// Upload is a file that somebody has sent. It lies in the database in chunks, so that any
// server goes on with it.
type Upload struct {
	// ID names the file; zero if it was not kept yet.
	ID   uuid.UUID
	Name string
	Size int64
	// Hash is the SHA-256 of the file.
	Hash [sha256.Size]byte
}

// IsEmpty reports whether the file is still to come.
func (u *Upload) IsEmpty() bool { return u.ID == uuid.Nil }

// MarshalJSON returns what tells the file from others, wherever it is stored.
func (u *Upload) MarshalJSON() ([]byte, error) { return json.Marshal([]any{u.Name, u.Hash[:]}) }

var errNoFile = errors.New("must be a file: send it as a part of a multipart/form-data request")

// UnmarshalGQL takes the file that the transport has put in the place of the variable, for
// gqlgen.
func (u *Upload) UnmarshalGQL(v any) error {
	kept, ok := v.(*Upload)
	if !ok {
		return errNoFile
	}
	*u = *kept
	return nil
}

// MarshalGQL writes the name of the file, for gqlgen. Nothing in the schema returns one.
func (u Upload) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(u.Name)) }

// chunkSize is the size of all chunks of a file but the last, in bytes.
const chunkSize = 512 << 10

// The most bytes and rows of a file unless Options say otherwise.
const (
	DefaultMaxUpload = 4 << 30
	DefaultMaxRows   = 10_000_000
)

// maxFileName is the longest name of a file that is kept, in bytes.
const maxFileName = 255

// Keep stores a file that is read from r, and returns it. The actor must be allowed to import.
// Keep returns INVALID for a file that is larger than uploads may be, and for one that breaks off,
// and deletes the part that it has stored.
func (s *Service) Keep(ctx context.Context, name string, r io.Reader) (*Upload, error) {
	if err := access.Require(ctx, access.ImportsWrite); err != nil {
		return nil, err
	}
	u := &Upload{ID: uuid.Must(uuid.NewV7()), Name: fileName(name)}
	if _, err := s.unrecorded(ctx).NewRaw("insert into uploads (id, created_at) values (?, ?)", u.ID, s.now()).Exec(ctx); err != nil {
		return nil, db.Problem(err)
	}
	if err := s.keepChunks(ctx, u, r); err != nil {
		return nil, errors.Join(err, s.dropUpload(context.WithoutCancel(ctx), u.ID))
	}
	_, err := s.unrecorded(ctx).NewRaw("update uploads set size = ? where id = ?", u.Size, u.ID).Exec(ctx)
	return u, db.Problem(err)
}

// keepChunks stores what r has as the chunks of the file, and counts it.
func (s *Service) keepChunks(ctx context.Context, u *Upload, r io.Reader) error {
	chunk, sum := make([]byte, chunkSize), sha256.New()
	defer func() { sum.Sum(u.Hash[:0]) }()
	for number := 0; ; number++ {
		n, err := fill(chunk, r)
		if u.Size += int64(n); u.Size > s.MaxUpload {
			return problem.At(problem.Invalid, "input.file", "The file has more than %d bytes, which is the most that this server takes.", s.MaxUpload)
		}
		if n > 0 {
			sum.Write(chunk[:n]) // never fails
			if _, err := db.Select[bool](ctx, s.Database, "insert into upload_chunks (upload_id, number, data) values ($1, $2, $3) returning true", u.ID, number, chunk[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return problem.At(problem.Invalid, "input.file", "The file broke off after %d bytes.", u.Size)
		}
	}
}

// fill reads from r until p is full or an error comes, which it returns as it is: io.EOF says that
// r has ended, and io.ErrUnexpectedEOF, other than that of io.ReadFull, that it broke off.
func fill(p []byte, r io.Reader) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = r.Read(p[n:])
		n += more
	}
	return n, err
}

// fileName returns the last part of the name of a file, as it is kept.
func fileName(name string) string {
	name = strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), "")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	for len(name) > maxFileName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// DropUnlessUsed deletes the file, unless an import has taken it over.
func (s *Service) DropUnlessUsed(ctx context.Context, u *Upload) error {
	used, err := db.SelectOne[bool](ctx, s.Database, "select true from imports where upload_id = $1", u.ID)
	if err != nil || used != nil {
		return err
	}
	return s.dropUpload(ctx, u.ID)
}

func (s *Service) dropUpload(ctx context.Context, id uuid.UUID) error {
	_, err := s.unrecorded(ctx).NewRaw("with gone as (delete from uploads where id = ?0) delete from upload_chunks where upload_id = ?0", id).Exec(ctx)
	return db.Problem(err)
}

// stored reads a file that was kept. It keeps the chunks that were read last, since files
// are read from one end to the other, some of them with a look at their end first.
type stored struct {
	ctx    context.Context
	db     *db.DB
	upload uuid.UUID
	chunks map[int64][]byte
	recent []int64
}

// keptChunks is how many chunks of a file are in memory.
const keptChunks = 4

func (s *Service) open(ctx context.Context, upload uuid.UUID) (*stored, int64, error) {
	size, err := db.SelectOne[int64](ctx, s.Database, "select size from uploads where id = $1", upload)
	if err == nil && size == nil {
		err = fmt.Errorf("the file %v is not there", upload)
	}
	if err != nil {
		return nil, 0, err
	}
	return &stored{ctx: ctx, db: s.Database, upload: upload, chunks: map[int64][]byte{}}, *size, nil
}

// ReadAt reads from the file; see io.ReaderAt.
func (f *stored) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		at := offset + int64(n)
		chunk, err := f.chunk(at / chunkSize)
		if err != nil {
			return n, err
		}
		from := int(at % chunkSize)
		if from >= len(chunk) {
			return n, io.EOF
		}
		n += copy(p[n:], chunk[from:])
	}
	return n, nil
}

// chunk returns the chunk of that number; empty beyond the last.
func (f *stored) chunk(number int64) ([]byte, error) {
	if chunk, known := f.chunks[number]; known {
		return chunk, nil
	}
	chunk, err := db.SelectOne[[]byte](f.ctx, f.db, "select data from upload_chunks where upload_id = $1 and number = $2", f.upload, number)
	if err != nil {
		return nil, err
	}
	if chunk == nil {
		chunk = new([]byte)
	}
	if len(f.recent) == keptChunks {
		delete(f.chunks, f.recent[0])
		f.recent = f.recent[1:]
	}
	f.chunks[number], f.recent = *chunk, append(f.recent, number)
	return *chunk, nil
}

// uploadLife is how long a file is kept that no import has taken over.
const uploadLife = time.Hour

// dropLostUploads deletes the files of requests that have come to nothing, and of imports that
// have ended before they had read them.
func (s *Service) dropLostUploads(ctx context.Context) error {
	lost, err := db.Select[uuid.UUID](ctx, s.Database, "select id from uploads u where created_at < $1 and not exists (select from imports im where im.upload_id = u.id and im.status = 'PLANNING')", s.now().Add(-uploadLife))
	for _, id := range lost {
		err = errors.Join(err, s.dropUpload(ctx, id))
	}
	return err
}
