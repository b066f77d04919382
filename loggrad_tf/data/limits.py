"""What one picture may take, whatever is in its file.

Each reader knows how many pixels it takes and looks at the header before it decodes any
(:data:`loggrad_tf.data.raw.MAX_PIXELS`, :data:`loggrad_tf.data.imitation.MAX_PIXELS`,
:data:`loggrad_tf.data.hdr.MAX_PIXELS`). These are for what the libraries do with a file that is damaged or
made to hang them: generous for the largest picture that is read, on a slow and busy computer.
"""

from loggrad_tf.parallel import Limits

PICTURE = Limits(seconds=120, memory=4 * 2**30)
