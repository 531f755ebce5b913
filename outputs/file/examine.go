package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*Output)(nil)

// leastFree is how much room there should be for records.
const leastFree = 64 << 20

// Examine implements pipeline.Examiner: whether the file can be appended to, or made, and whether
// there is room. Nothing is made or written.
func (o *Output) Examine(_ context.Context, tell func(pipeline.Finding)) {
	folder := filepath.Dir(o.path)
	for _, look := range []func() pipeline.Finding{
		func() pipeline.Finding { return examineFolder(folder) }, o.examineFile,
	} {
		f := look()
		tell(f)
		if f.State == pipeline.FoundBroken {
			return
		}
	}
	tell(examineSpace(folder))
}

func examineFolder(folder string) pipeline.Finding {
	f := pipeline.Finding{What: "folder", Says: folder}
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.State, f.Says, f.Advice = pipeline.FoundBroken, folder+" is not there", "make it: mkdir -p "+folder
	case err != nil:
		f.State, f.Says = pipeline.FoundBroken, err.Error()
		f.Advice = fmt.Sprintf("let uid %d go through the folders above (chmod o+x)", os.Geteuid())
	case !info.IsDir():
		f.State, f.Says, f.Advice = pipeline.FoundBroken, folder+" is no folder", "name a file in a folder as path"
	}
	return f
}

// examineFile says whether records can be appended. A file that is not there must be made.
func (o *Output) examineFile() pipeline.Finding {
	f := pipeline.Finding{What: "file", Says: o.path + " may be appended to"}
	checked, right := o.path, uint32(unix.R_OK|unix.W_OK)
	info, err := os.Stat(o.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		checked, right = filepath.Dir(o.path), unix.W_OK|unix.X_OK
		f.Says = o.path + " is not there yet, and may be made"
	case err != nil:
		f.State, f.Says = pipeline.FoundBroken, err.Error()
		return f
	case !info.Mode().IsRegular():
		f.State, f.Says = pipeline.FoundBroken, o.path+" is not a regular file"
		f.Advice = "name one that is, or none that is there; for the terminal take the output stdout"
		return f
	}
	if err := unix.Access(checked, right); err != nil {
		f.State = pipeline.FoundBroken
		f.Says = fmt.Sprintf("this user may not write to %s: %v", checked, err)
		f.Advice = fmt.Sprintf("give it to the user who runs longshore (chown), or set another path; this is uid %d",
			os.Geteuid())
	}
	return f
}

func examineSpace(folder string) pipeline.Finding {
	f := pipeline.Finding{What: "space"}
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		f.State, f.Says = pipeline.FoundUnknown, err.Error()
		return f
	}
	free := pipeline.Size(int64(st.Bavail) * int64(st.Bsize))
	f.Says = free.Rounded() + " are free"
	if free < leastFree {
		f.State = pipeline.FoundDoubtful
		f.Advice = "make room, or set a path on another file system; records wait while it is full"
	}
	return f
}
