package disk

import "bytes"

// sector is the most that a disk surely writes as a whole or not at all, in bytes.
const sector = 512

// HasUnwritten says whether p, which stands at an offset of a file and ends with it, has a
// sector of zeros alone, as a power loss leaves where an append did not come to the disk.
func HasUnwritten(p []byte, offset int64) bool {
	for len(p) > 0 {
		n := min(len(p), sector-int(offset%sector))
		if len(bytes.Trim(p[:n], "\x00")) == 0 {
			return true
		}
		p, offset = p[n:], offset+int64(n)
	}
	return false
}
