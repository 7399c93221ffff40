// What the report's code needs of Android, by developer.android.com/reference.
package android.content

import android.content.res.AssetManager

class Context {
    val assets = AssetManager()
}
